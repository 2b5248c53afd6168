"""Converts verdicts to the gallery's JSON."""

from __future__ import annotations

from collections.abc import Sequence

from stablellava_assets.filters.candidates import prompts_of
from stablellava_assets.filters.review.borderline import Score, is_borderline
from stablellava_assets.filters.review.overrule import WithFindings, was_overruled, was_reviewed
from stablellava_assets.tables.findings import REJECTS, StoredFinding, is_rejected, label_of
from stablellava_assets.tables.pair_rows import Verdict


def entry(
    verdict: Verdict, pictures: Sequence[str | None], scores: Sequence[Score], borderline: float
) -> dict[str, object]:
    """A verdict as ``page/gallery.js`` reads it.

    Args:
        verdict: the verdict on the pair.
        pictures: file names, None for an image that cannot be shown.
        scores: the scores behind the verdict.
        borderline: the fraction of its threshold within which a score counts as close.
    """
    return {
        "id": verdict["pair_id"],
        "ability": verdict["ability"],
        "batch": verdict["batch"],
        "kind": verdict["question_kind"],
        "verdict": "rejected" if is_rejected(verdict["findings"]) else "kept",
        "borderline": is_borderline(scores, borderline),
        "reviewed": was_reviewed(verdict),
        "overruled": was_overruled(verdict),
        "prompts": prompts_of(verdict),
        "turns": [[turn["from"], turn["value"]] for turn in verdict["conversations"]],
        "reasons": [_shown(found) for found in verdict["findings"] if found["outcome"] == REJECTS],
        "notes": [_shown(found) for found in verdict["findings"] if found["outcome"] != REJECTS],
        "scores": [[*score, score.is_close(borderline)] for score in scores],
        "expected": verdict["expected"],
        "repeats": next((found["pair_id"] for found in verdict["findings"] if found["pair_id"]), None),
        "pictures": list(pictures),
    }


def names_of(verdict: WithFindings) -> set[str]:
    """All rules with a finding on the pair, by which the page filters."""
    return {label_of(found) for found in verdict["findings"]}


def _shown(found: StoredFinding) -> list[str]:
    return [label_of(found), found["explanation"]]
