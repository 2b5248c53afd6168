"""The model card of a tuned checkpoint: its data, settings and scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from stablellava_assets.text.tables import markdown_table
from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings

_SCORES = "## Scores"
_EXAMPLE = """```bash
stablellava ask picture.jpg "What is in the picture?" --checkpoint .
vllm serve . --served-model-name tuned
```"""


def write_card(
    folder: Path,
    checkpoint_id: str,
    base: str,
    settings: PretrainedTuningSettings,
    result: Mapping[str, object],
    abilities: Mapping[str, int],
    licences: list[str],
    rejected: Mapping[str, int],
) -> None:
    """Write ``README.md`` into ``folder``.

    Args:
        folder: the checkpoint.
        checkpoint_id: its content hash.
        base: the checkpoint that was tuned.
        settings: how it was tuned.
        result: counts: rows, mixed, pictures, parameters.
        abilities: kept pairs by ability.
        licences: notes on the terms of everything that contributed to the data.
        rejected: rows that were not trained on, by reason.
    """
    mixed = (
        f"{result['mixed']:,} rows come from `{settings.mix.conversations.name}`; its own terms apply."
        if settings.mix
        else ""
    )
    sections = [
        _front_matter(base),
        f"# LLaVA checkpoint {checkpoint_id}",
        (
            f"Tuned by stablellava-assets from `{base}` on {result['rows']:,} conversations about "
            f"{result['pictures']:,} images; {result['parameters']:,} trained weights ({settings.model.method})."
        ),
        _EXAMPLE,
        "## Data",
        (
            "Tables `prompt_specs`, `images`, `dialogues` and `filtered_pairs` of the project; every pair has its "
            "prompt, seed, painter, author and models there."
        ),
        _table("ability", "pairs", abilities),
        mixed,
        (
            "Rows excluded from training (`rejected_rows.jsonl` names each):\n\n" + _table("reason", "rows", rejected)
            if rejected
            else "All rows were used for training."
        ),
        "## Licence",
        f"The terms of `{base}` apply to the weights.",
        *licences,
        "## Settings",
        f"```json\n{json.dumps(settings.model_dump(mode='json'), indent=2)}\n```",
    ]
    (folder / "README.md").write_text("\n\n".join(section for section in sections if section) + "\n", encoding="utf-8")


def with_scores(card: str, scores: str) -> str:
    """A card with the table of scores (Markdown) at its end, instead of an earlier one."""
    text = card.partition(f"\n{_SCORES}\n")[0]
    return f"{text.rstrip()}\n\n{_SCORES}\n\n{scores}\n"


def _front_matter(base: str) -> str:
    named = base if base.startswith("/") else base.partition("@")[0]
    lines = ["library_name: transformers", "pipeline_tag: image-text-to-text", "license: other"]
    if not named.startswith("/"):
        lines.append(f"base_model: {named}")
    return "\n".join(["---", *lines, "tags: [llava, synthetic]", "---"])


def _table(name: str, count: str, rows: Mapping[str, int]) -> str:
    return markdown_table((name, count), [(key, f"{number:,}") for key, number in rows.items()])
