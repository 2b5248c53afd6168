"""Verdicts on abilities, adjusted for testing a dozen of them at once."""

from __future__ import annotations

from collections.abc import Sequence

from stablellava_assets.evaluation.scores.statistics import holm, verdict
from stablellava_assets.tables.score_rows import ComparedScore, JudgedScore

ALL = "all"
"""Ability or question kind of rows with totals."""

_Family = tuple[str, str, str, bool]


def with_verdicts(scores: Sequence[ComparedScore]) -> list[JudgedScore]:
    """``ability_scores`` rows with ``p_holm`` and ``verdict``, which are null if ``p_value`` is.

    A family is one column of the scoreboard: the abilities of one checkpoint, benchmark and question kind. The total
    over abilities is a single hypothesis, and its p-value is not adjusted.
    """
    families: dict[_Family, dict[str, float]] = {}
    for row in scores:
        if row["p_value"] is not None:
            families.setdefault(_family(row), {})[row["ability"]] = row["p_value"]
    adjusted = {
        family: dict(zip(p_values, holm(list(p_values.values())), strict=True)) for family, p_values in families.items()
    }
    return [_judged(row, adjusted.get(_family(row), {}).get(row["ability"])) for row in scores]


def _family(row: ComparedScore) -> _Family:
    return row["checkpoint_id"], row["benchmark"], row["question_kind"], row["ability"] == ALL


def _judged(row: ComparedScore, p_holm: float | None) -> JudgedScore:
    difference = row["difference"]
    verdict_text = None if p_holm is None or difference is None else verdict(difference, p_holm)
    return {**row, "p_holm": p_holm, "verdict": verdict_text}
