"""Findings as stored in verdict rows: the rule, its outcome, the explanation, and the other pair involved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypedDict, get_args

import pyarrow as pa

from stablellava_assets.tables.table import rows_of

REJECTS, NOTES, OVERRULED = "rejects", "notes", "overruled"
"""Outcome of a finding. ``rejects``: the pair is rejected. ``notes``: it is not.
``overruled``: a person kept the pair."""

RepeatRule = Literal[
    "repeated_prompt",
    "near_prompt",
    "same_meaning_prompt",
    "repeated_question",
    "repeated_answer",
    "same_meaning_answer",
    "duplicate_image",
    "lookalike_image",
]
"""Rules that compare a pair with kept pairs of its own batch and of earlier ones. They are evaluated on every run,
because what they find depends on other batches, not on the pair alone."""

REPEATS = frozenset(get_args(RepeatRule))
"""The names of these rules."""

FINDINGS = pa.list_(
    pa.struct(
        [
            pa.field("rule", pa.string()),
            pa.field("outcome", pa.string()),
            pa.field("explanation", pa.string()),
            pa.field("pair_id", pa.string()),
        ]
    )
)


class StoredFinding(TypedDict):
    """A finding as stored in a row; ``pair_id`` is the pair that this one repeats, if any."""

    rule: str
    outcome: str
    explanation: str
    pair_id: str | None


EARLIER_COLUMNS = ("reasons", "explanations", "notes", "nearest_pair_id")
"""Columns in which earlier versions stored findings."""


class _EarlierRow(TypedDict):
    reasons: list[str]
    explanations: list[str]
    notes: list[str]
    nearest_pair_id: str | None


def finding(rule: str, outcome: str, explanation: str, pair_id: str | None = None) -> StoredFinding:
    """A finding as stored in a row."""
    return {"rule": rule, "outcome": outcome, "explanation": explanation, "pair_id": pair_id}


def rules_with(outcome: str, findings: Iterable[StoredFinding]) -> list[str]:
    """The rules with a finding of this outcome, in the order of the filters."""
    return [found["rule"] for found in findings if found["outcome"] == outcome]


def is_rejected(findings: Iterable[StoredFinding]) -> bool:
    """Whether any finding rejects the pair."""
    return any(found["outcome"] == REJECTS for found in findings)


def label_of(found: StoredFinding) -> str:
    """The rule for display: ``overruled RULE`` if a person decided otherwise."""
    return f"{OVERRULED} {found['rule']}" if found["outcome"] == OVERRULED else found["rule"]


def findings_of_earlier_columns(data: pa.Table) -> pa.Array[Any]:
    """The findings of rows written by an earlier version; ``data`` has at least :data:`EARLIER_COLUMNS`.

    Such a row names one other pair, which belongs to the first finding that compares pairs.
    """
    rows = rows_of(_EarlierRow, data.select(EARLIER_COLUMNS))
    return pa.array([_findings_of_earlier_row(**row) for row in rows], FINDINGS)


def _findings_of_earlier_row(
    reasons: Sequence[str], explanations: Sequence[str], notes: Sequence[str], nearest_pair_id: str | None
) -> list[StoredFinding]:
    rejecting = zip(reasons, explanations, strict=True)
    found = [finding(rule, REJECTS, explanation) for rule, explanation in rejecting]
    for note in notes:
        named, _, explanation = note.partition(": ")
        outcome, _, overruled = named.rpartition(" ")
        found.append(finding(overruled, OVERRULED if outcome == OVERRULED else NOTES, explanation))
    for about in [each for each in found if each["rule"] in REPEATS][:1]:
        about["pair_id"] = nearest_pair_id
    return found
