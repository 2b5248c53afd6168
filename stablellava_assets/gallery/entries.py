"""What the page shows of a pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stablellava_assets.filters.review.borderline import Score, is_borderline
from stablellava_assets.filters.review.overrule import was_overruled, was_reviewed


def entry(
    verdict: Mapping[str, Any], pictures: Sequence[str | None], scores: Sequence[Score], borderline: float
) -> dict[str, Any]:
    """A verdict as ``page/gallery.js`` reads it.

    Args:
        verdict: a row of ``filtered_pairs`` or ``rejected_pairs``.
        pictures: file names, None for a picture that cannot be shown.
        scores: what decides about the pair.
        borderline: the share of its bound within which a score is close to it.
    """
    return {
        "id": verdict["pair_id"],
        "ability": verdict["ability"],
        "batch": verdict["batch"],
        "kind": verdict["question_kind"],
        "verdict": "rejected" if verdict["reasons"] else "kept",
        "borderline": is_borderline(scores, borderline),
        "reviewed": was_reviewed(verdict),
        "overruled": was_overruled(verdict),
        "prompt": verdict["prompt"],
        "turns": [[turn["from"], turn["value"]] for turn in verdict["conversations"]],
        "reasons": [list(found) for found in zip(verdict["reasons"], verdict["explanations"], strict=True)],
        "notes": [_note(note) for note in verdict["notes"]],
        "scores": [[*score, score.is_close(borderline)] for score in scores],
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
