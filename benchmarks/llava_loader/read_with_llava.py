"""Does LLaVA's own training code read an export as it was written? Its data set and its
collator read it, field by field.

Clone https://github.com/haotian-liu/LLaVA (this was run with commit c121f0432da27facab705978f83c4ada465e46fd), make an
export, and run this in this project's environment:

    stablellava export llava EXPORT
    python benchmarks/llava_loader/read_with_llava.py LLAVA EXPORT --rows 302 --version v1

``LazySupervisedDataset`` and ``DataCollatorForSupervisedDataset`` come from the checkout's ``llava/train/train.py``,
which is imported as it is. One module that it imports has a stand-in: ``llava/train/llava_trainer.py``, the trainer,
asks for names that transformers 5 no longer has, and the data code never calls it. No hub is asked: the tokenizer is a
Llama tokenizer whose vocabulary is Llama's 256 bytes and its space, without merges, and pictures are scaled and cropped
as for CLIP ViT-L/14 at 336 pixels (``image_aspect_ratio`` is left at ``square``).

It prints what it found, or ends at the first mismatch with the row's id and exit code 1.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import io
import json
import sys
import time
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from PIL import Image
from transformers import CLIPImageProcessor, LlamaTokenizer

MARK, IMAGE_TOKEN, MASKED = "<image>", -200, -100
SIDE = 336
ROWS_A_BATCH = 16


def main() -> None:
    """Read the rows, check them, and print what was found."""
    parser = argparse.ArgumentParser(description="Read an export with LLaVA's own data set and collator.")
    parser.add_argument("llava", type=Path, help="checkout of haotian-liu/LLaVA")
    parser.add_argument("export", type=Path, help="folder that `stablellava export llava` made")
    parser.add_argument("--rows", type=int, default=302, help="how many, spread evenly over train.json; 0: all")
    parser.add_argument("--version", choices=("v1", "plain"), default="v1", help="the conversation, as LLaVA names it")
    asked = parser.parse_args()

    for path in (asked.llava / "llava/train/train.py", asked.export / "train.json"):
        if not path.is_file():
            parser.error(f"{path}: is not there; name a clone of haotian-liu/LLaVA, then an export")
    train = import_train(asked.llava)
    train.conversation_lib.default_conversation = train.conversation_lib.conv_templates[asked.version]
    tokenizer = small_tokenizer()
    processor = CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    arguments = train.DataArguments(image_folder=str(asked.export / "images"), is_multimodal=True)
    # `train()` sets these two when it has loaded the vision tower.
    arguments.image_processor, arguments.mm_use_im_start_end = processor, False
    dataset = train.LazySupervisedDataset(str(asked.export / "train.json"), tokenizer, arguments)
    collate = train.DataCollatorForSupervisedDataset(tokenizer)

    rows = json.loads((asked.export / "train.json").read_text(encoding="utf-8"))
    with (asked.export / "provenance.jsonl").open(encoding="utf-8") as file:
        provenance = {told["pair_id"]: told for told in map(json.loads, file)}
    expect("train.json", "holds rows, as many as LLaVA counts", 0 < len(rows) == len(dataset), True)
    expect("train.json", "rows that the sampler takes for text", sum(n <= 0 for n in dataset.modality_lengths), 0)

    # Rows about several images are for LLaVA-NeXT.
    readable = [number for number, row in enumerate(rows) if isinstance(row["image"], str)]
    count = min(asked.rows, len(readable)) if asked.rows > 0 else len(readable)
    chosen = [readable[number * len(readable) // count] for number in range(count)]
    started, answers, batches, longest = time.perf_counter(), 0, 0, 0
    for start in range(0, count, ROWS_A_BATCH):
        batch = chosen[start : start + ROWS_A_BATCH]
        items = [read_row(dataset, index, rows[index]["id"]) for index in batch]
        for item, index in zip(items, batch, strict=True):
            row = rows[index]
            check_picture(item, row, asked.export / "images" / row["image"], provenance[row["id"]], processor)
            answers += check_tokens(item, row, train.conversation_lib.default_conversation, tokenizer)
        longest = max(longest, check_batch(collate(items), items, rows[batch[0]]["id"]))
        batches += 1
    seconds = time.perf_counter() - started
    read = f"{count:,} of {len(readable):,} about one image"
    print(f"rows read      {read}, as conversation {asked.version}, in {seconds:.1f} s")
    print(f"image tokens   {count:,}, one a row")
    print(f"pictures       {count:,} of 3 x {SIDE} x {SIDE}, as the processor makes them of the exported bytes")
    print(f"masked         {'each question, as exported' if asked.version == 'v1' else 'all but the answers'}")
    print(f"left to learn  {answers:,} answers as exported, each with its end, and nothing else")
    print(f"batches        {batches:,} of up to {ROWS_A_BATCH} rows, {longest:,} tokens at most, padding masked")


def import_train(checkout: Path) -> ModuleType:
    """The checkout's ``llava.train.train``, with a stand-in for the trainer."""
    sys.path.insert(0, str(checkout))
    trainer = ModuleType("llava.train.llava_trainer")
    trainer.__dict__["LLaVATrainer"] = None
    sys.modules[trainer.__name__] = trainer
    return importlib.import_module("llava.train.train")


def small_tokenizer() -> Any:
    """A Llama tokenizer that knows bytes only, set up as ``train()`` does it."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    # Bytes are many more than Llama's pieces, and a row must not be cut: hence the length.
    vocabulary = {token: number for number, token in enumerate(tokens)}
    return LlamaTokenizer(vocabulary, add_bos_token=True, pad_token="<unk>", model_max_length=2**20)


def read_row(dataset: Any, index: int, row_id: str) -> dict[str, torch.Tensor]:
    """A row as LLaVA's data set makes it; whatever it raises is told with the row's id."""
    try:
        item: dict[str, torch.Tensor] = dataset[index]
    except Exception as error:
        raise SystemExit(f"{row_id}: LLaVA's data set ends with {type(error).__name__}: {error}") from error
    return item


def check_picture(item: dict[str, Any], row: dict[str, Any], path: Path, told: dict[str, Any], processor: Any) -> None:
    """The tensor is what the processor makes of the exported bytes, and these are the ones that the provenance
    names."""
    encoded = path.read_bytes()
    expect(row["id"], "picture", [path.stem], [picture["image_id"] for picture in told["pictures"]])
    expect(row["id"], "SHA-256", hashlib.sha256(encoded).hexdigest(), told["pictures"][0]["sha256"])
    expect(row["id"], "shape of the pixels", tuple(item["image"].shape), (3, SIDE, SIDE))
    picture = Image.open(io.BytesIO(encoded)).convert("RGB")
    pixels = processor.preprocess(picture, return_tensors="pt")["pixel_values"][0]
    expect(row["id"], "type of the pixels", item["image"].dtype, torch.float32)
    expect(row["id"], "pixels as the processor makes them", torch.equal(item["image"], pixels), True)


def check_tokens(item: dict[str, Any], row: dict[str, Any], conversation: Any, tokenizer: Any) -> int:
    """One image token, questions masked and answers not, and both as exported; how many answers there were."""
    tokens, labels = item["input_ids"].tolist(), item["labels"].tolist()
    expect(row["id"], "image tokens", tokens.count(IMAGE_TOKEN), 1)
    differing = [label for token, label in zip(tokens, labels, strict=True) if label not in (token, MASKED)]
    expect(row["id"], "labels that are neither masked nor the token", differing, [])
    expect(row["id"], "first label", labels[0], MASKED)
    # Masked and unmasked stretches take turns, as the human and the answers do.
    stretches = groupby(zip(tokens, labels, strict=True), key=lambda pair: pair[1] == MASKED)
    found = [spoken([token for token, _ in stretch], tokenizer) for _, stretch in stretches]
    expect(row["id"], "turns", found, wanted_texts(row["conversations"], conversation))
    return len(found) // 2


def spoken(tokens: list[int], tokenizer: Any) -> str:
    """The text of a stretch without the space it starts with; of the first, what follows the image token."""
    after = tokens[tokens.index(IMAGE_TOKEN) + 1 :] if IMAGE_TOKEN in tokens else tokens
    return str(tokenizer.decode(after))


def wanted_texts(turns: list[dict[str, str]], conversation: Any) -> list[str]:
    """What the stretches should say: LLaVA moves the mark to the front, and drops the
    question as conversation ``plain``."""
    user, assistant = conversation.roles
    texts = []
    for turn in turns:
        value = turn["value"]
        if turn["from"] == "gpt":
            texts.append(value + (conversation.sep2 or conversation.sep))
        elif MARK in value:
            question = f"\n{value.replace(MARK, '').strip()}".rstrip()
            texts.append(f"{question} {assistant}:".lstrip(" ") if assistant else "")
        else:
            texts.append(f"{user}: {value} {assistant}:")
    return texts


def check_batch(batch: dict[str, torch.Tensor], items: list[dict[str, torch.Tensor]], row_id: str) -> int:
    """The batch holds every row unchanged, padded to the longest, and padding is neither seen nor learnt; its
    length."""
    where, longest = f"batch that starts with {row_id}", max(len(item["input_ids"]) for item in items)
    for name in ("input_ids", "labels", "attention_mask"):
        expect(where, f"shape of {name}", tuple(batch[name].shape), (len(items), longest))
    expect(where, "shape of images", tuple(batch["images"].shape), (len(items), 3, SIDE, SIDE))
    for number, item in enumerate(items):
        padding = longest - len(item["input_ids"])
        expect(where, "tokens", batch["input_ids"][number].tolist(), item["input_ids"].tolist() + [0] * padding)
        expect(where, "labels", batch["labels"][number].tolist(), item["labels"].tolist() + [MASKED] * padding)
        seen = [True] * (longest - padding) + [False] * padding
        expect(where, "tokens seen", batch["attention_mask"][number].tolist(), seen)
        expect(where, "pixels", torch.equal(batch["images"][number], item["image"]), True)
    return longest


def expect(where: str, what: str, found: object, wanted: object) -> None:
    """End the program where something is not as it should be."""
    if found != wanted:
        raise SystemExit(f"{where}: {what}: {found!r} instead of {wanted!r}")


if __name__ == "__main__":
    main()
