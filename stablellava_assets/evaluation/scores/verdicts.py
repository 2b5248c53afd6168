"""Verdicts on abilities, adjusted for testing a dozen of them at once."""

from __future__ import annotations

from collections.abc import Sequence

from stablellava_assets.evaluation.kinds import is_reference
from stablellava_assets.evaluation.scores.power import detectable_gain
from stablellava_assets.evaluation.scores.statistics import SIGNIFICANCE, UNDECIDED, holm, verdict
from stablellava_assets.tables.score_rows import ComparedScore, JudgedScore

ALL = "all"
"""Ability or question kind of rows with totals."""

_Family = tuple[str, str, str, bool, str]


def with_verdicts(scores: Sequence[ComparedScore]) -> list[JudgedScore]:
    """``ability_scores`` rows with ``p_holm``, ``verdict`` and ``detectable_gain``, which are null if ``p_value`` is.

    A family is one column of the scoreboard: the abilities of one checkpoint, benchmark and question kind, and of one
    reference model if it is compared with one. The total over abilities is a single hypothesis, and its p-value is not
    adjusted.
    """
    families: dict[_Family, dict[str, float]] = {}
    for row in scores:
        if row["p_value"] is not None:
            families.setdefault(_family(row), {})[row["ability"]] = row["p_value"]
    adjusted = {
        family: dict(zip(p_values, holm(list(p_values.values())), strict=True)) for family, p_values in families.items()
    }
    return [_judged(row, adjusted.get(_family(row), {})) for row in scores]


def _family(row: ComparedScore) -> _Family:
    compared_with = row["model"] if is_reference(row["model"]) else ""
    return row["checkpoint_id"], row["benchmark"], row["question_kind"], row["ability"] == ALL, compared_with


def _judged(row: ComparedScore, adjusted: dict[str, float]) -> JudgedScore:
    difference, p_holm = row["difference"], adjusted.get(row["ability"])
    if p_holm is None or difference is None:
        return {**row, "p_holm": p_holm, "verdict": None, "detectable_gain": None}
    return {
        **row,
        "p_holm": p_holm,
        "verdict": verdict(difference, p_holm),
        "detectable_gain": _detectable(row, adjusted),
    }


def _detectable(row: ComparedScore, adjusted: dict[str, float]) -> float | None:
    """The smallest gain that the test of this row would have shown.

    Holm compares an ability with the significance level divided by the number of those that are not shown, itself
    included.
    """
    if row["effective_items"] is None or row["discordance"] is None:
        return None
    unshown = sum(verdict(1, p_holm) == UNDECIDED for ability, p_holm in adjusted.items() if ability != row["ability"])
    return detectable_gain(int(row["effective_items"]), row["discordance"], SIGNIFICANCE / (1 + unshown))


def could_not_show(row: JudgedScore, gain: float) -> bool:
    """Whether no difference was shown, and a true ``gain`` would not have been either, with a chance of 0.8."""
    # Scores of earlier versions do not tell.
    if row["verdict"] != UNDECIDED or row.get("effective_items") is None:
        return False
    detectable = row["detectable_gain"]
    return detectable is None or detectable > gain
