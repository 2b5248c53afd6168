"""Plans by batch: made once, recorded as a table, and read whenever the batch is made again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from stablellava_assets.planning.batch_plan import BatchPlan, plan_batch
from stablellava_assets.planning.evidence import read_evidence
from stablellava_assets.planning.settings import PlanningSettings
from stablellava_assets.tables.schemas import BATCH_PLANS, PROMPT_SPECS
from stablellava_assets.tables.store import ParquetStore


class BatchPlans:
    """The plans of a profile.

    A batch is planned when it is first asked for, from the scores of then. Later scores plan later batches: making a
    batch again finds the same sizes, and so the same rows. Deleting the partition in ``batch_plans`` has it planned anew.

    Args:
        store: the tables; plans are in ``batch_plans``, a partition a batch.
        locks: local folder of the lock that keeps the runs of one tick from planning a batch twice.
        settings: the bounds.
        abilities: those that batches are made of.
        rows_per_batch: rows an ability, on average.
    """

    def __init__(
        self,
        store: ParquetStore,
        locks: Path,
        settings: PlanningSettings,
        abilities: Sequence[str],
        rows_per_batch: int,
    ) -> None:
        self._store = store
        self._locks = locks
        self._settings = settings
        self._abilities = abilities
        self._rows_per_batch = rows_per_batch

    def recorded(self, batch: str, run_id: str) -> BatchPlan:
        """The plan of ``batch``; made and recorded under ``run_id`` if there is none yet.

        Raises:
            StoreError: a table cannot be read, or the plan not be written.
        """
        self._locks.mkdir(parents=True, exist_ok=True)
        with FileLock(self._locks / f"{BATCH_PLANS.name}.lock"):
            plan = self._published(batch)
            if plan is None:
                plan = self._new(batch)
                rows = [{**row, "run_id": run_id} for row in plan.rows]
                self._store.publish(BATCH_PLANS, (batch,), BATCH_PLANS.from_rows(rows))
        return plan

    def foreseen(self, batch: str) -> BatchPlan:
        """The recorded plan of ``batch``, or the one that would be recorded now; nothing is written.

        Raises:
            StoreError: a table cannot be read.
        """
        return self._published(batch) or self._new(batch)

    def _published(self, batch: str) -> BatchPlan | None:
        data = self._store.read(BATCH_PLANS, (batch,))
        return None if data is None else BatchPlan(batch, data.to_pylist(), self._rows_per_batch)

    def _new(self, batch: str) -> BatchPlan:
        checkpoint_id, evidence = read_evidence(self._store, self._abilities)
        begun = {ability for ability, other in self._store.partitions(PROMPT_SPECS) if other == batch}
        return plan_batch(batch, evidence, self._settings, self._rows_per_batch, checkpoint_id, begun)
