"""Plans the number of prompts per ability in a batch: more for lower accuracy and for lower filter yield."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from stablellava_assets.abilities.brief import Brief
from stablellava_assets.planning.allocation import allocate
from stablellava_assets.planning.evidence import Evidence
from stablellava_assets.planning.settings import PlanningSettings
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.pair_rows import BatchPlanColumns, PlannedBatch

_LEAST_LACK = 0.001
"""Minimum error rate of an ability, so that one without errors still has a weight."""

_NONE_BEGUN: Mapping[str, int] = MappingProxyType({})
_NO_BRIEFS: Mapping[str, Brief] = MappingProxyType({})


@dataclass(frozen=True)
class BatchPlan:
    """The recorded plan of one batch.

    ``rows`` are ``batch_plans`` rows, without ``run_id`` until they are recorded. ``usual_rows`` are the current
    prompts of every ability, or groups of prompts; one without a row has these.
    """

    batch: str
    rows: Sequence[PlannedBatch]
    usual_rows: Mapping[str, int]

    def rows_of(self, ability: str) -> int:
        """Prompts of ``ability``: as planned, scaled if the usual number was changed since."""
        row = self.row_of(ability)
        return self.usual_rows[ability] if row is None else _scaled(row, self.usual_rows[ability])

    def explanation_of(self, ability: str) -> str | None:
        """The reason for the number; None if nothing is planned for ``ability``."""
        row = self.row_of(ability)
        return None if row is None else _explanation(row, self.usual_rows[ability])

    def brief_of(self, ability: str) -> Brief | None:
        """What the batch of ``ability`` has more of; None if nothing is recorded."""
        row = self.row_of(ability)
        recorded = None if row is None else row.get("brief")
        return None if recorded is None else Brief.model_validate_json(recorded)

    def row_of(self, ability: str) -> PlannedBatch | None:
        """The row of ``ability``; None if nothing is planned for it."""
        return next((row for row in self.rows if row["ability"] == ability), None)


def plan_batch(
    batch: str,
    evidence: Sequence[Evidence],
    settings: PlanningSettings,
    rows_per_batch: int,
    checkpoint_id: str | None = None,
    begun: Mapping[str, int] = _NONE_BEGUN,
    briefs: Mapping[str, Brief] = _NO_BRIEFS,
) -> BatchPlan:
    """Plan a batch.

    The weight of an ability is ``(1 - lower bound of its accuracy) / filter yield``: abilities with more
    wrong answers get more rows, and so do those of which fewer pairs pass the filters. An ability without
    filtered pairs has the overall yield.

    Args:
        batch: the batch to plan.
        evidence: scores and yields of every ability.
        settings: the bounds, and the benchmark of the evidence.
        rows_per_batch: mean number of rows per ability.
        checkpoint_id: the model of the evidence; None if nothing was scored, in which case all abilities get the same.
        begun: prompts of this batch that existed before it was planned, by ability. They keep their number.
            The others get what they would get without them, so that an ability's rows do not depend on
            which others are planned with it.
        briefs: what an ability's batch is to have more of. One that was begun keeps its prompts without.
    """
    least, most = _bounds(settings, rows_per_batch)
    weights: dict[str, float] = {}
    rows = {each.ability: rows_per_batch for each in evidence}
    if checkpoint_id is not None:
        weights = _weights(evidence)
        rows = allocate(weights, rows_per_batch * len(weights), least, most)
    planned: list[PlannedBatch] = []
    for each in evidence:
        known = each.ability in begun
        row: BatchPlanColumns = {
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
            "weight": None if known else weights.get(each.ability),
            "rows_per_batch": rows_per_batch,
            "rows": begun[each.ability] if known else rows[each.ability],
            "benchmark": settings.benchmark,
            "least": least,
            "most": most,
            "begun": known,
            "brief": None if known else _recorded(briefs.get(each.ability)),
        }
        planned.append({**row, "explanation": _explanation(row, rows_per_batch)})
    return BatchPlan(batch, planned, dict.fromkeys(rows, rows_per_batch))


def _recorded(brief: Brief | None) -> str | None:
    return None if brief is None or brief == Brief() else brief.model_dump_json(exclude_defaults=True)


def was_begun(row: BatchPlanColumns) -> bool:
    """Whether the prompts of a ``batch_plans`` row existed before it. In rows of earlier versions, the weight tells."""
    return bool(row["begun"]) or (row["weight"] is None and row["checkpoint_id"] is not None)


def _weights(evidence: Sequence[Evidence]) -> dict[str, float]:
    dialogues = sum(each.dialogues for each in evidence)
    usual = max(1, sum(each.kept for each in evidence)) / dialogues if dialogues else 1.0
    return {
        # If nothing was kept, the weight is that of one kept pair, and the upper bound applies.
        each.ability: (
            max(_LEAST_LACK, 1 - each.lower_bound) / (max(1, each.kept) / each.dialogues if each.dialogues else usual)
        )
        for each in evidence
    }


def _bounds(settings: PlanningSettings, rows_per_batch: int) -> tuple[int, int]:
    # Rounded first, so that 0.7 of 10 rows is 7, and not 8 from 7.000000000000001.
    least = math.ceil(round(settings.min_factor * rows_per_batch, 6))
    most = math.floor(round(settings.max_factor * rows_per_batch, 6))
    return max(1, least), most


def _scaled(row: BatchPlanColumns, rows_per_batch: int) -> int:
    return max(1, round(row["rows"] * rows_per_batch / row["rows_per_batch"]))


def _explanation(row: BatchPlanColumns, rows_per_batch: int) -> str:
    rows = _scaled(row, rows_per_batch)
    reason = _reason(row, rows, rows_per_batch)
    if row["rows_per_batch"] == rows_per_batch:
        return reason
    return f"{reason} Planned as {row['rows']} rows when rows_per_batch was {row['rows_per_batch']}."


def _reason(row: BatchPlanColumns, rows: int, rows_per_batch: int) -> str:
    ability = row["ability"]
    if was_begun(row):
        return f"{ability} was begun before this batch was planned: it keeps its prompts, {rows} rows."
    where = "" if row["benchmark"] is None else f" in benchmark {row['benchmark']}"
    if row["checkpoint_id"] is None:
        return f"Nothing was scored{where} yet: {ability} gets the usual number of rows."
    if row["accuracy"] is None:
        known = f"{ability} was not scored{where} yet, so that nothing counts as known"
    else:
        known = (
            f"{ability}: {row['correct']} of {row['n']} answered right{where}, a share of at least "
            f"{row['lower_bound']:.3f}"
        )
    kept = "nothing of it was filtered yet"
    if row["filter_yield"] is not None:
        kept = f"{row['filter_yield']:.3f} of its dialogues were kept"
    return f"{known}; {kept}: {rows} rows, {rows / rows_per_batch:.2f} times the usual{_limit(row)}."


def _limit(row: BatchPlanColumns) -> str:
    if row["least"] == row["most"]:
        return ""
    return {row["least"]: ", the least", row["most"]: ", the most"}.get(row["rows"], "")
