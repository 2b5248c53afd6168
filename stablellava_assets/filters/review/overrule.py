"""A person's decision is the last word: what it does to a verdict, and how the verdict tells of it.

The findings of the rules are never lost. Where a person keeps a pair against them, their outcome becomes ``overruled``, so
that a decision can be withdrawn and no pair is examined again for it.
"""

from __future__ import annotations

from typing import TypedDict

from stablellava_assets.filters.review.reviews import Review
from stablellava_assets.tables.findings import NOTES, OVERRULED, REJECTS, StoredFinding, finding, rules_with
from stablellava_assets.tables.pair_rows import Verdict

REJECTED_BY_REVIEW = "rejected_by_review"
"""The rule by which a person rejected a pair."""

KEPT_BY_REVIEW = "kept_by_review"
"""The rule by which a person kept a pair; it rejects nothing."""


class Found(TypedDict):
    """A verdict, as far as its findings go."""

    findings: list[StoredFinding]


def overrule(row: Verdict, review: Review) -> None:
    """Apply ``review`` to a verdict row that every rule has looked at."""
    said = f"{review.reviewer} decided so{': ' + review.note if review.note else '.'}"
    if review.decision == "reject":
        row["findings"].append(finding(REJECTED_BY_REVIEW, REJECTS, said))
        return
    for found in row["findings"]:
        if found["outcome"] == REJECTS:
            found["outcome"] = OVERRULED
    row["findings"].append(finding(KEPT_BY_REVIEW, NOTES, said))


def was_overruled(verdict: Found) -> bool:
    """Whether a person decided otherwise than the rules."""
    return rules_with(REJECTS, verdict["findings"]) == [REJECTED_BY_REVIEW] or bool(
        rules_with(OVERRULED, verdict["findings"])
    )


def was_reviewed(verdict: Found) -> bool:
    """Whether a person decided about the pair at all."""
    return any(found["rule"] in (REJECTED_BY_REVIEW, KEPT_BY_REVIEW) for found in verdict["findings"])
