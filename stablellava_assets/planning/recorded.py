"""Recorded batch plans: an ability's rows are planned once, stored in a table, and reused
whenever the batch is made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stablellava_assets.abilities.brief import Brief
from stablellava_assets.abilities.catalog import AnyAbility, briefed
from stablellava_assets.abilities.multi_image import images_per_dialogue
from stablellava_assets.planning.batch_plan import BatchPlan, plan_batch
from stablellava_assets.planning.briefs import brief_of
from stablellava_assets.planning.evidence import read_evidence
from stablellava_assets.planning.settings import PlanningSettings
from stablellava_assets.state.locks import Locks
from stablellava_assets.tables.pair_rows import BatchPlanRow, PlannedBatch
from stablellava_assets.tables.schemas import ABILITY_DIAGNOSIS, BATCH_PLANS, PROMPT_SPECS
from stablellava_assets.tables.store import ParquetStore


class BatchPlans:
    """The plans of a profile.

    An ability's rows of a batch are planned on first use from the current scores, as its share of a batch of all
    abilities, whichever abilities are in the run. Later scores affect later batches: making a batch again gives the
    same size, and so the same rows. Deleting the partitions of ``batch_plans`` makes a batch planned anew, except for
    abilities that have prompts of it, which keep their number.

    Args:
        store: the tables; ``batch_plans`` has one partition per row, so machines that plan at once lose nothing.
        locks: they serialize concurrent runs of one schedule tick.
        settings: the bounds; None: existing plans are used, and nothing is planned.
        usual_rows: the abilities of a batch, and the rows that each has unless scores say otherwise.
        catalog: what is known of them; for briefs.
    """

    def __init__(
        self,
        store: ParquetStore,
        locks: Locks,
        settings: PlanningSettings | None,
        usual_rows: Mapping[str, int],
        catalog: Mapping[str, AnyAbility],
    ) -> None:
        self._store = store
        self._locks = locks
        self._settings = settings
        self._usual_rows = usual_rows
        self._catalog = catalog

    def recorded(
        self, batch: str, abilities: Sequence[str], run_id: str, foreseen: Sequence[PlannedBatch] = ()
    ) -> BatchPlan:
        """The plan of ``batch``. Rows of ``abilities`` without a plan are planned and recorded under ``run_id``.

        ``foreseen`` are rows that :meth:`foreseen` planned earlier; they are recorded unchanged.

        Raises:
            StoreError: a table cannot be read, or the plan cannot be written.
        """
        if self._settings is None:
            return self._plan(batch, self._published(batch))
        with self._locks.hold(BATCH_PLANS.name):
            rows = self._published(batch)
            known = {row["ability"] for row in rows}
            new = [row for row in foreseen if row["batch"] == batch and row["ability"] in set(abilities) - known]
            new += self._missing(batch, abilities, [*rows, *new])
            if new:
                recorded: list[BatchPlanRow] = [{**row, "run_id": run_id} for row in new]
                for row in recorded:
                    self._store.publish(BATCH_PLANS, (batch, row["ability"]), BATCH_PLANS.from_rows([row]))
                rows += recorded
        return self._plan(batch, rows)

    def foreseen(self, batch: str, abilities: Sequence[str]) -> BatchPlan:
        """The result that :meth:`recorded` would have now; nothing is written.

        Raises:
            StoreError: a table cannot be read.
        """
        rows = self._published(batch)
        return self._plan(batch, [*rows, *self._missing(batch, abilities, rows)])

    def briefed(self, ability: AnyAbility, batch: str) -> AnyAbility:
        """The ability with its recorded brief for a batch.

        Raises:
            StoreError: a table cannot be read.
        """
        return briefed(ability, self._plan(batch, self._published(batch)).brief_of(ability.ability))

    def _plan(self, batch: str, rows: Sequence[PlannedBatch]) -> BatchPlan:
        return BatchPlan(batch, sorted(rows, key=lambda row: row["ability"]), self._usual_rows)

    def _published(self, batch: str) -> list[BatchPlanRow]:
        of_batch = [partition for partition in self._store.partitions(BATCH_PLANS) if partition[0] == batch]
        return BATCH_PLANS.rows(self._store.read_all(BATCH_PLANS, of_batch))

    def _missing(self, batch: str, abilities: Sequence[str], rows: Sequence[PlannedBatch]) -> list[PlannedBatch]:
        """Newly planned rows of the ``abilities`` that are not among ``rows``."""
        missing = set(abilities) - {row["ability"] for row in rows}
        if self._settings is None or not missing:
            return []
        checkpoint_id, evidence = read_evidence(self._store, list(self._usual_rows), self._settings.benchmark)
        begun = self._begun(batch, missing)
        briefs = {}
        if self._settings.errors and checkpoint_id is not None:
            briefs = self._briefs(checkpoint_id, self._settings.confusions)
        # Rows move between abilities that usually have equally many.
        return [
            row
            for usual in sorted({*self._usual_rows.values()})
            for row in plan_batch(
                batch,
                [each for each in evidence if self._usual_rows[each.ability] == usual],
                self._settings,
                usual,
                checkpoint_id,
                begun,
                briefs,
            ).rows
            if row["ability"] in missing
        ]

    def _briefs(self, checkpoint_id: str, confusions: bool) -> dict[str, Brief]:
        rows = ABILITY_DIAGNOSIS.rows(self._store.read_all(ABILITY_DIAGNOSIS, [(checkpoint_id,)]))
        return {
            name: brief_of(self._catalog[name], [row for row in rows if row["ability"] == name], confusions)
            for name in self._usual_rows
        }

    def _begun(self, batch: str, abilities: set[str]) -> dict[str, int]:
        found = {ability: self._store.read(PROMPT_SPECS, (ability, batch), ["spec_id"]) for ability in abilities}
        return {
            name: data.num_rows // images_per_dialogue(self._catalog[name])
            for name, data in found.items()
            if data is not None
        }
