"""How many prompts each ability gets in a batch: more where the model lacks more and the filters keep less."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stablellava_assets.planning.allocation import allocate
from stablellava_assets.planning.evidence import Evidence
from stablellava_assets.planning.settings import PlanningSettings
from stablellava_assets.tables.identity import content_key

_LEAST_LACK = 0.001
"""What an ability lacks at least, so that one without a mistake still has a weight."""


@dataclass(frozen=True)
class BatchPlan:
    """The plan of one batch, as it was recorded, for the ``rows_per_batch`` of now.

    ``rows`` are ``batch_plans`` rows, complete but for ``run_id`` until they are recorded.
    """

    batch: str
    rows: Sequence[Mapping[str, Any]]
    rows_per_batch: int

    def rows_of(self, ability: str) -> int:
        """Prompts of ``ability``: as planned, in proportion where ``rows_per_batch`` was changed since.

        An ability that is newer than the plan gets ``rows_per_batch``.
        """
        row = self._row_of(ability)
        if row is None:
            return self.rows_per_batch
        return max(1, round(int(row["rows"]) * self.rows_per_batch / int(row["rows_per_batch"])))

    def explanation_of(self, ability: str) -> str:
        """One sentence: why so many."""
        row = self._row_of(ability)
        return (
            row["explanation"] if row else f"{ability} is newer than the plan of this batch: the usual number of rows."
        )

    def _row_of(self, ability: str) -> Mapping[str, Any] | None:
        return next((row for row in self.rows if row["ability"] == ability), None)


def plan_batch(
    batch: str,
    evidence: Sequence[Evidence],
    settings: PlanningSettings,
    rows_per_batch: int,
    checkpoint_id: str | None = None,
    begun: Collection[str] = (),
) -> BatchPlan:
    """Share the rows of a batch out.

    The weight of an ability is ``(1 - lower bound of its accuracy) / filter yield``: rows go where answers are wrong, and more of
    them where fewer come through the filters. An ability that was filtered by nobody has the yield of all together.

    Args:
        batch: whose plan it is.
        evidence: what is known of every ability.
        settings: the bounds.
        rows_per_batch: rows an ability, on average.
        checkpoint_id: the model of the evidence; None where nothing was scored: every ability then gets the same.
        begun: abilities whose prompts of this batch were written before it was planned; they keep what they have.
    """
    open_abilities = [each for each in evidence if each.ability not in begun]
    weights: dict[str, float] = {}
    rows = {each.ability: rows_per_batch for each in evidence}
    if checkpoint_id is not None:
        weights = _weights(open_abilities)
        least, most = _bounds(settings, rows_per_batch)
        rows |= allocate(weights, rows_per_batch * len(weights), least, most)
    return BatchPlan(
        batch,
        [
            {
                "plan_id": content_key("batch plan", batch, each.ability),
                "batch": batch,
                "ability": each.ability,
                "checkpoint_id": checkpoint_id,
                "n": each.n,
                "correct": each.correct,
                "accuracy": each.accuracy,
                "lower_bound": each.lower_bound,
                "dialogues": each.dialogues,
                "kept": each.kept,
                "filter_yield": each.filter_yield,
                "weight": weights.get(each.ability),
                "rows_per_batch": rows_per_batch,
                "rows": rows[each.ability],
                "explanation": _explanation(
                    each, rows[each.ability], settings, rows_per_batch, checkpoint_id, each.ability in begun
                ),
            }
            for each in evidence
        ],
        rows_per_batch,
    )


def _weights(evidence: Sequence[Evidence]) -> dict[str, float]:
    dialogues = sum(each.dialogues for each in evidence)
    usual = max(1, sum(each.kept for each in evidence)) / dialogues if dialogues else 1.0
    return {
        # Where nothing was kept, the weight is that of one kept pair, and the bound decides.
        each.ability: max(_LEAST_LACK, 1 - each.lower_bound)
        / (max(1, each.kept) / each.dialogues if each.dialogues else usual)
        for each in evidence
    }


def _bounds(settings: PlanningSettings, rows_per_batch: int) -> tuple[int, int]:
    # Rounded first: 0.7 of 10 rows are 7, not the 8 that 7.000000000000001 would be raised to.
    least = math.ceil(round(settings.min_factor * rows_per_batch, 6))
    most = math.floor(round(settings.max_factor * rows_per_batch, 6))
    return max(1, least), most


def _explanation(
    evidence: Evidence,
    rows: int,
    settings: PlanningSettings,
    rows_per_batch: int,
    checkpoint_id: str | None,
    begun: bool,
) -> str:
    if begun:
        return f"{evidence.ability} was begun before this batch was planned: it keeps the usual number of rows."
    if checkpoint_id is None:
        return f"Nothing was scored yet: {evidence.ability} gets the usual number of rows."
    if evidence.accuracy is None:
        known = f"{evidence.ability} was not scored yet, so that nothing counts as known"
    else:
        known = (
            f"{evidence.ability}: {evidence.correct} of {evidence.n} answered right, a share of at least "
            f"{evidence.lower_bound:.3f}"
        )
    kept = "nothing of it was filtered yet"
    if evidence.filter_yield is not None:
        kept = f"{evidence.filter_yield:.3f} of its dialogues were kept"
    least, most = _bounds(settings, rows_per_batch)
    limit = ", the least" if rows == least < most else ", the most" if rows == most > least else ""
    return f"{known}; {kept}: {rows} rows, {rows / rows_per_batch:.2f} times the usual{limit}."
