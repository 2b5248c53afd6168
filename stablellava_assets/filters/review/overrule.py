"""A person's decision is the last word: what it does to a verdict, and how the verdict tells of it.

The findings of the rules are never lost. Where a person keeps a pair against them, they move into the notes as
``overruled RULE: explanation``, from which they are read back when the pair is judged again, so that a decision can
be withdrawn and no pair is looked at anew for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stablellava_assets.filters.review.reviews import Review
from stablellava_assets.tables.row import Row

REJECTED_BY_REVIEW = "rejected_by_review"
"""The reason of a pair that a person rejected."""

KEPT_BY_REVIEW = "kept_by_review"
"""The note of a pair that a person kept."""

_OVERRULED = "overruled "


def overrule(row: Row, review: Review) -> None:
    """Apply ``review`` to a verdict row that every rule has looked at."""
    said = f"{review.reviewer} decided so{': ' + review.note if review.note else '.'}"
    if review.decision == "reject":
        row["reasons"].append(REJECTED_BY_REVIEW)
        row["explanations"].append(said)
        return
    findings = zip(row["reasons"], row["explanations"], strict=True)
    row["notes"] += [f"{_OVERRULED}{rule}: {explanation}" for rule, explanation in findings]
    row["notes"].append(f"{KEPT_BY_REVIEW}: {said}")
    row["reasons"], row["explanations"] = [], []


def was_overruled(verdict: Mapping[str, Any]) -> bool:
    """Whether a person decided otherwise than the rules."""
    return verdict["reasons"] == [REJECTED_BY_REVIEW] or any(note.startswith(_OVERRULED) for note in verdict["notes"])


def was_reviewed(verdict: Mapping[str, Any]) -> bool:
    """Whether a person decided about the pair at all."""
    return REJECTED_BY_REVIEW in verdict["reasons"] or any(
        note.startswith(f"{KEPT_BY_REVIEW}:") for note in verdict["notes"]
    )


def findings_against(verdict: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the rules held against a pair, (rule, explanation) each, whatever a person made of it."""
    overruled = [
        note.removeprefix(_OVERRULED).split(": ", 1) for note in verdict["notes"] if note.startswith(_OVERRULED)
    ]
    standing = zip(verdict["reasons"], verdict["explanations"], strict=True)
    return [
        *((rule, explanation) for rule, explanation in standing if rule != REJECTED_BY_REVIEW),
        *((rule, explanation) for rule, explanation in overruled),
    ]
