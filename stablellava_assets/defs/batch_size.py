"""Number of prompts per batch: ``rows_per_batch``, or the recorded plan."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from stablellava_assets.abilities.catalog import AnyAbility
from stablellava_assets.defs.metadata import Metadata
from stablellava_assets.defs.published import Tables
from stablellava_assets.planning.briefs import brief_text
from stablellava_assets.planning.plan_table import plan_table
from stablellava_assets.planning.recorded import BatchPlans
from stablellava_assets.tables.pair_rows import PlannedBatch
from stablellava_assets.tables.schemas import BATCH_PLANS
from stablellava_assets.tables.store import Partition

BATCH_PLAN = "stablellava/batch_plan"
"""Tag of a scheduled run: the ``batch_plans`` rows that its tick planned, as JSON. The run records them."""


@dataclass(frozen=True)
class BatchSizes:
    """The batch sizes of a profile.

    Attributes:
        plans: recorded plans; None if the author's files determine the sizes.
        rows_per_batch: prompts, or groups of prompts, per ability without a plan.
        publishes: whether plans are made, and must be copied to the warehouse.
    """

    plans: BatchPlans | None
    rows_per_batch: int
    publishes: bool

    def briefed(self, ability: AnyAbility, batch: str) -> AnyAbility:
        """The ability with what is recorded that its batch has more of.

        Raises:
            StoreError: a table cannot be read.
        """
        return ability if self.plans is None else self.plans.briefed(ability, batch)

    def for_run(self, context: dg.AssetExecutionContext, partitions: Sequence[Partition]) -> RunBatchSizes:
        """The sizes for the ``partitions`` of one run."""
        return RunBatchSizes(self, context, partitions)


class RunBatchSizes:
    """The sizes of a run's ``partitions``. The first partition of a batch plans all those of the
    run; the others read the plan."""

    def __init__(self, sizes: BatchSizes, context: dg.AssetExecutionContext, partitions: Sequence[Partition]) -> None:
        self._sizes = sizes
        self._partitions = partitions
        self._run_id = context.run_id
        self._foreseen: list[PlannedBatch] = json.loads(context.run.tags.get(BATCH_PLAN, "[]"))
        self._log = context.log

    def for_partition(self, partition: Partition) -> tuple[int, Metadata]:
        """Prompts of the partition, or groups of prompts, and metadata that explains the number; empty without a plan.

        Raises:
            StoreError: a table cannot be read, or the plan cannot be written.
        """
        if self._sizes.plans is None:
            return self._sizes.rows_per_batch, {}
        ability, batch = partition
        abilities = [other for other, its_batch in self._partitions if its_batch == batch]
        plan = self._sizes.plans.recorded(batch, abilities, self._run_id, self._foreseen)
        rows, explanation = plan.rows_of(ability), plan.explanation_of(ability)
        if explanation is None:
            return rows, {}
        self._log.info(f"{ability}|{batch}: {rows} prompts planned. {explanation}")
        return rows, {
            "planned_rows": rows,
            "plan": explanation,
            "batch_plan": dg.MetadataValue.md(plan_table(plan, markdown=True)),
            **({"brief": brief_text(brief)} if (brief := plan.brief_of(ability)) else {}),
        }

    def sync_warehouse(self, tables: Tables) -> Metadata:
        """Update the plans in the warehouse."""
        if self._sizes.publishes:
            tables.sync_warehouse([BATCH_PLANS], self._log)
        return {}
