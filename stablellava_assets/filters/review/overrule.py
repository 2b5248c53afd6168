"""Applies human review decisions to verdicts.

The findings of the rules are kept. If a person keeps a rejected pair, their outcome becomes ``overruled``. A decision
can therefore be withdrawn without evaluating the rules again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from stablellava_assets.filters.review.reviews import Review
from stablellava_assets.tables.findings import NOTES, OVERRULED, REJECTS, StoredFinding, finding, rules_with
from stablellava_assets.tables.pair_rows import Verdict

REJECTED_BY_REVIEW = "rejected_by_review"
"""Finding added when a person rejects a pair."""

KEPT_BY_REVIEW = "kept_by_review"
"""Finding added when a person keeps a pair; it rejects nothing."""


class WithFindings(TypedDict):
    """The findings of a verdict."""

    findings: list[StoredFinding]


def overrule(row: Verdict, review: Review) -> None:
    """Apply ``review`` to a verdict row with the findings of all rules."""
    said = f"{review.reviewer} decided so{': ' + review.note if review.note else '.'}"
    if review.decision == "reject":
        row["findings"].append(finding(REJECTED_BY_REVIEW, REJECTS, said))
        return
    _keep(row)
    row["findings"].append(finding(KEPT_BY_REVIEW, NOTES, said))


def repeat_review(row: Verdict, decisions: Sequence[StoredFinding]) -> None:
    """Apply decisions again to a verdict row whose findings have changed; ``decisions`` are the findings they made."""
    if any(found["rule"] == KEPT_BY_REVIEW for found in decisions):
        _keep(row)
    row["findings"] += decisions


def is_of_review(found: StoredFinding) -> bool:
    """Whether a person's decision made the finding."""
    return found["rule"] in (REJECTED_BY_REVIEW, KEPT_BY_REVIEW)


def _keep(row: Verdict) -> None:
    for found in row["findings"]:
        if found["outcome"] == REJECTS:
            found["outcome"] = OVERRULED


def was_overruled(verdict: WithFindings) -> bool:
    """Whether a person's decision differs from that of the rules."""
    return rules_with(REJECTS, verdict["findings"]) == [REJECTED_BY_REVIEW] or bool(
        rules_with(OVERRULED, verdict["findings"])
    )


def was_reviewed(verdict: WithFindings) -> bool:
    """Whether a person has decided about the pair."""
    return any(map(is_of_review, verdict["findings"]))
