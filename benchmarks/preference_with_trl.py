"""Does TRL's own preprocessing for vision-language models read an export of preference pairs as it was written?

    pip install trl
    stablellava export preference EXPORT
    python benchmarks/preference_with_trl.py EXPORT data/models/CHECKPOINT

``datasets`` loads the export, and TRL's ``DataCollatorForVisionPreference``, which ``DPOTrainer`` uses, makes batches
of it with the checkpoint's processor. Of every row, the tokens that count as the completion are compared with both
answers, and the number of images with that of the prompt. It ends at the first row that differs.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

COLUMNS = ["images", "prompt", "chosen", "rejected"]
ROWS_A_BATCH = 16


def main() -> None:
    """Read the export, and stop at the first row that differs."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("export", help="folder written by stablellava export preference")
    arguments.add_argument("model", help="folder or name on the hub of a model with a processor")
    asked = arguments.parse_args()
    import datasets
    from transformers import AutoProcessor
    from trl.trainer.dpo_trainer import DataCollatorForVisionPreference

    processor = AutoProcessor.from_pretrained(asked.model)
    collate = DataCollatorForVisionPreference(processor)
    rows = datasets.load_dataset(asked.export, split="train")
    for start in range(0, len(rows), ROWS_A_BATCH):
        batch = rows.select(range(start, min(start + ROWS_A_BATCH, len(rows))))
        names, written = batch["preference_id"], [*batch.select_columns(COLUMNS)]
        read = collate([dict(row) for row in written])
        images = sum(len(row["images"]) for row in written)
        if len(read["pixel_values"]) != 2 * images:
            sys.exit(f"rows {start} to {start + len(written)}: {len(read['pixel_values'])} images were read")
        both = [*(row["chosen"] for row in written), *(row["rejected"] for row in written)]
        completions = zip(read["input_ids"], read["completion_mask"], both, [*names, *names], strict=True)
        for tokens, mask, messages, name in completions:
            said = processor.tokenizer.decode(tokens[mask.bool()], skip_special_tokens=True)
            if said.split() != text_of(messages).split():
                sys.exit(f"row {name}: the completion is {said!r}, and {text_of(messages)!r} was written")
    print(f"{len(rows):,} rows: images, chosen and rejected answers are read as they were written")


def text_of(messages: list[dict[str, Any]]) -> str:
    """The text of an answer."""
    return " ".join(part["text"] for message in messages for part in message["content"])


if __name__ == "__main__":
    main()
