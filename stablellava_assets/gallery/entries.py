"""What the page shows of a pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stablellava_assets.filters.overrule import was_overruled, was_reviewed
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.gallery.borderline import THRESHOLDS


def entry(
    verdict: Mapping[str, Any], pictures: Sequence[str | None], close: Sequence[str], settings: FilterSettings
) -> dict[str, Any]:
    """A verdict as ``page/gallery.js`` reads it; ``pictures`` are file names, None for one that cannot be shown."""
    return {
        "id": verdict["pair_id"],
        "ability": verdict["ability"],
        "batch": verdict["batch"],
        "kind": verdict["question_kind"],
        "verdict": "rejected" if verdict["reasons"] else "kept",
        "borderline": bool(close),
        "reviewed": was_reviewed(verdict),
        "overruled": was_overruled(verdict),
        "prompt": verdict["prompt"],
        "turns": [[turn["from"], turn["value"]] for turn in verdict["conversations"]],
        "reasons": [list(found) for found in zip(verdict["reasons"], verdict["explanations"], strict=True)],
        "notes": [_note(note) for note in verdict["notes"]],
        "scores": [
            [column, verdict[column], bound(settings), side, column in close] for column, bound, side in THRESHOLDS
        ],
        "expected": verdict["expected"],
        "repeats": verdict["nearest_pair_id"],
        "pictures": list(pictures),
    }


def names_of(verdict: Mapping[str, Any]) -> set[str]:
    """Every rule that the verdict names, as a reason or in a note: what the page filters by."""
    return {*verdict["reasons"], *(_note(note)[0] for note in verdict["notes"])}


def _note(note: str) -> list[str]:
    name, _, explanation = note.partition(":")
    return [name, explanation.strip()]
