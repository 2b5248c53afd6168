"""Materialization of a table: make the rows of each partition, check them against the gates, publish, and report."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pyarrow as pa

from stablellava_assets.checks.gates import GateResult, Suite, count_by_gate
from stablellava_assets.checks.quarantine import RefusedPartition
from stablellava_assets.checks.remembered import RememberedGates
from stablellava_assets.defs.metadata import Metadata, MetadataEntry
from stablellava_assets.defs.published import Tables
from stablellava_assets.defs.reporting import FINISHED, FinishedPartition, reporter
from stablellava_assets.state.locks import Lease
from stablellava_assets.tables.complete_rows import complete_rows
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.journal import RowJournal
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.rows import (
    GROUP,
    GROUP_WITH_IMAGES,
    InputsT,
    Make,
    MakeTogether,
    PlannedRow,
    Refreshed,
    in_groups,
    refresh_together,
)
from stablellava_assets.tables.schemas import MADE
from stablellava_assets.tables.store import Partition
from stablellava_assets.tables.table import AnyTable, RowT, Table

Events = Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]


@dataclass(frozen=True)
class PartitionResult:
    """A partition that is ready for its gates.

    ``data`` lacks images; ``complete`` yields the rows with them, a few at a time, if the table has any. ``beside`` are
    secondary tables published with it; ``judged`` is the data that the gates check, by default ``data``.
    ``metadata`` is about the partition, ``run_metadata`` about the run so far. ``waiting`` counts rows that are missing
    because the budget was spent; if there are any, a partition may be empty.
    """

    data: pa.Table
    counts: Mapping[str, int]
    unchanged: bool = False
    beside: Sequence[tuple[AnyTable, pa.Table]] = ()
    judged: pa.Table | None = None
    complete: Callable[[], Iterator[pa.Table]] | None = None
    metadata: Metadata = field(default_factory=dict)
    run_metadata: Metadata = field(default_factory=dict)
    waiting: int = 0


class Stage:
    """One asset's materialization over the partitions of a run."""

    def __init__(self, context: dg.AssetExecutionContext, tables: Tables, suite: Suite) -> None:
        self._context = context
        self._tables = tables
        self._suite = suite
        self._table = suite.table
        tables.check_storage()

    def run(
        self,
        partitions: Sequence[Partition],
        make: Callable[[Partition], PartitionResult],
        after_all: Callable[[], Metadata] = dict,
    ) -> Events:
        """Make, check and publish each partition; then yield the checks and, unless a gate failed, the result.

        ``after_all`` is called once after the last partition and returns metadata of the run.

        Raises:
            dagster.Failure: a gate failed. Its partition was not published; its rows are in quarantine.
        """
        results: dict[Partition, list[GateResult]] = {}
        quarantined: dict[Partition, RefusedPartition] = {}
        totals: dict[str, int] = {}
        run_metadata: dict[str, MetadataEntry] = {}
        metadata_by_partition: dict[Partition, Metadata] = {}
        versions: list[str] = []
        for number, partition in enumerate(partitions, 1):
            with self._lease(partition) as lease:
                made = make(partition)
                results[partition] = self._judge(partition, made)
                lease.confirm()
                if all(result.passed for result in results[partition]):
                    self._publish(partition, made)
                else:
                    quarantined[partition] = self._quarantine(partition, made, results[partition])
            # Dagster records one data version for all partitions of a run, so runs with several get none.
            if len(partitions) == 1 or not self._is_partitioned:
                versions.append(_version(made.data))
            for name, count in made.counts.items():
                totals[name] = totals.get(name, 0) + count
            run_metadata = {**made.metadata, **made.run_metadata}
            metadata_by_partition[partition] = self._describe(
                partition, made, results[partition], number, len(partitions)
            )
        copied = [self._table, *(table for table, _ in made.beside)] if partitions else []
        self._tables.sync_warehouse(copied, self._context.log)
        run_metadata |= after_all()
        yield from self._check_results(results)
        if quarantined:
            self._record_published({name: metadata_by_partition[name] for name in results if name not in quarantined})
            raise self._failure(results, quarantined)
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(content_key(versions)[:16]) if versions else None,
            metadata={
                "dagster/row_count": totals.get("rows", 0),
                **totals,
                **run_metadata,
                "path": self._tables.store.glob(self._table),
            },
        )

    def refresh(
        self,
        partition: Partition,
        planned: Sequence[PlannedRow[InputsT]],
        make: Make[InputsT, RowT],
        table: Table[RowT],
        *,
        is_slow: bool = True,
    ) -> Refreshed:
        """Bring the rows of a partition up to date, reusing rows that an interrupted run had finished.

        ``table`` is the stage's own or a secondary one. Slow rows (``is_slow``) are journaled one by
        one, as soon as they are finished.
        """
        group = 1 if is_slow else GROUP_WITH_IMAGES if table.holds_images else GROUP
        return self.refresh_together(partition, planned, in_groups(make, group), table)

    def refresh_together(
        self,
        partition: Partition,
        planned: Sequence[PlannedRow[InputsT]],
        make: MakeTogether[InputsT, RowT],
        table: Table[RowT],
    ) -> Refreshed:
        """As :meth:`refresh`, for rows of which several are finished at once."""
        previous = self._tables.store.read(table, partition, table.without_images)
        report = reporter(self._context.log, self._name(partition))
        with self._journal(table, partition) as journal:
            return refresh_together(table, planned, previous, journal, make, self._context.run_id, report)

    def complete(self, partition: Partition, table: Table[RowT], taken: Sequence[int]) -> Iterator[pa.Table]:
        """Refreshed rows (:attr:`Refreshed.taken`) with their images, a few at a time, until they are published."""
        with ExitStack() as opened:
            journal = opened.enter_context(self._journal(table, partition))
            try:
                published = opened.enter_context(self._tables.store.open(table, partition))
            except FileNotFoundError:
                published = None
            yield from complete_rows(taken, published, journal)

    def images(
        self, partition: Partition, table: Table[RowT], wanted: Collection[tuple[str, str]]
    ) -> Iterator[tuple[str, bytes]]:
        """The wanted images that are made, published or not, by the id of their row; wanted are ids and keys."""
        columns = [table.row_id, "row_key", "status"]
        published = self._tables.store.read(table, partition, columns)
        with self._journal(table, partition) as journal:
            stored = pa.concat_tables([data for data in (published, journal.rows(columns)) if data is not None])
        at = {
            (row[table.row_id], row["row_key"]): n for n, row in enumerate(stored.to_pylist()) if row["status"] == MADE
        }
        for data in self.complete(partition, table, sorted(at[key] for key in wanted if key in at)):
            for row_id, image in zip(texts_of(data, table.row_id), data["image"].to_pylist(), strict=True):
                assert image is not None
                yield row_id, image["bytes"]

    def finished(self, partition: Partition, table: Table[RowT]) -> list[RowT]:
        """Rows kept by :meth:`finish` that were not published: a gate refused them, or the process died."""
        with self._journal(table, partition) as journal:
            return table.rows(journal.rows())

    def finish(self, partition: Partition, table: Table[RowT], row: RowT) -> None:
        """Journal a row that was slow to make until its partition is published."""
        with self._journal(table, partition) as journal:
            journal.append([row])

    def _journal(self, table: Table[RowT], partition: Partition) -> RowJournal[RowT]:
        return RowJournal(self._tables.journal, table, partition)

    def _lease(self, partition: Partition) -> AbstractContextManager[Lease]:
        """One process makes a partition at a time."""
        name = f"{self._table.name}/{'-'.join(partition) or 'whole'}"
        return self._tables.locks.hold(name, reporter(self._context.log, self._name(partition)))

    def _judge(self, partition: Partition, made: PartitionResult) -> list[GateResult]:
        judged = made.judged if made.judged is not None else made.data
        gates = self._tables.gates
        if made.waiting:
            gates = gates.model_copy(update={"allow_empty": True})
        return RememberedGates(self._tables.journal / "gates").results(self._suite, partition, judged, gates)

    def _publish(self, partition: Partition, made: PartitionResult) -> None:
        # The stage's own table comes last, because readers rely on it.
        for table, data in [*made.beside, (self._table, made.data)]:
            if not made.unchanged:
                is_own = table is self._table
                rows = made.complete() if is_own and made.complete is not None else data
                self._tables.store.publish(table, partition, rows)
                if not is_own:
                    self._record(table, partition, {self._row_count: data.num_rows})
            with self._journal(table, partition) as journal:
                journal.discard()

    def _quarantine(
        self, partition: Partition, made: PartitionResult, results: Sequence[GateResult]
    ) -> RefusedPartition:
        judged = made.judged if made.judged is not None else made.data
        rows = [judged] if made.complete is None else made.complete()
        return self._tables.quarantine.keep(self._table, partition, self._context.run_id, rows, results)

    def _describe(
        self, partition: Partition, made: PartitionResult, results: Sequence[GateResult], number: int, total: int
    ) -> Metadata:
        """Log the outcome for a partition; returns its metadata for the UI."""
        counts = ", ".join(f"{count} {name}" for name, count in made.counts.items())
        failed = not all(result.passed for result in results)
        verdict = "REFUSED by a gate" if failed else "unchanged" if made.unchanged else "published"
        why = f". {_findings(results)}" if failed else ""
        self._context.log.info(
            f"[{number}/{total}] {self._name(partition)}: {verdict}: {counts}{why}",
            extra={FINISHED: FinishedPartition(number, total, made.counts, failed)},
        )
        # The UI plots numbers over time, so the gates' measures are included.
        measured = {result.gate: result.value for result in results if result.value is not None}
        rows = {"dagster/partition_row_count": made.counts.get("rows", 0)}
        metadata = {**rows, **made.counts, **measured, **made.metadata}
        if self._is_partitioned:
            self._context.add_asset_metadata(metadata, partition_key="|".join(partition))
        return metadata

    def _check_results(self, results: Mapping[Partition, list[GateResult]]) -> Iterator[dg.AssetCheckResult]:
        names = [self._name(partition) for partition in results]
        for gate, of_partitions in count_by_gate(list(results.values())).items():
            rows = [
                f"| {_cell(name)} | {'passed' if result.passed else '**failed**'} | {_cell(result.observed)} |"
                for name, result in zip(names, of_partitions, strict=True)
            ]
            failed = sum(not result.passed for result in of_partitions)
            values = [result.value for result in of_partitions if result.value is not None]
            yield dg.AssetCheckResult(
                check_name=gate,
                passed=not failed,
                metadata={
                    "partitions": len(of_partitions),
                    "failed_partitions": failed,
                    **({"lowest": min(values), "highest": max(values)} if values else {}),
                    "observed": dg.MetadataValue.md(
                        "\n".join(["| partition | result | observed |", "|---|---|---|", *rows])
                    ),
                },
            )

    def _record_published(self, metadata_by_partition: Mapping[Partition, Metadata]) -> None:
        """Record partitions that passed: they are published although the step fails."""
        for partition, metadata in sorted(metadata_by_partition.items()):
            self._record(self._table, partition, metadata)

    def _record(self, table: AnyTable, partition: Partition, metadata: Metadata) -> None:
        """Record in Dagster a table that is not an output of the step."""
        key = "|".join(partition) if self._is_partitioned else None
        self._context.log_event(dg.AssetMaterialization(table.name, partition=key, metadata={**metadata}))

    def _failure(
        self, results: Mapping[Partition, list[GateResult]], quarantined: Mapping[Partition, RefusedPartition]
    ) -> dg.Failure:
        lines = []
        for partition, refused in quarantined.items():
            lines.append(
                f"{self._name(partition)}: {_findings(results[partition])}. Its rows lie in {refused.location}: "
                f"`stablellava quarantine {refused.name}` shows them with their reasons."
            )
        return dg.Failure(
            description=(
                f"{self._table.name}: {len(lines)} of {len(results)} partitions failed their gates and were not "
                "published.\n"
            )
            + "\n".join(lines),
            allow_retries=False,
        )

    @property
    def _is_partitioned(self) -> bool:
        return self._context.assets_def.partitions_def is not None

    @property
    def _row_count(self) -> str:
        """Dagster's metadata key for the number of rows."""
        return "dagster/partition_row_count" if self._is_partitioned else "dagster/row_count"

    def _name(self, partition: Partition) -> str:
        return "|".join(partition) or self._table.name


def _version(data: pa.Table) -> str:
    """Hash of the rows, whichever run made them and when: of their keys, or of all columns in tables without keys."""
    keyed = "row_key" in data.column_names
    columns = [field.name for field in data.schema if field.name != "run_id" and not pa.types.is_timestamp(field.type)]
    return content_key(data.select(["row_key"] if keyed else columns).to_pylist())


def partitions_of(context: dg.AssetExecutionContext) -> list[Partition]:
    """The (ability, batch) partitions of a run."""
    return [tuple(key.split("|")) for key in context.partition_keys]


def from_refreshed(
    refreshed: Refreshed,
    metadata: Metadata,
    run_metadata: Metadata | None = None,
    waiting: int = 0,
    complete: Callable[[], Iterator[pa.Table]] | None = None,
) -> PartitionResult:
    """The result of a row-wise stage."""
    return PartitionResult(
        refreshed.data,
        refreshed.counts,
        refreshed.unchanged,
        metadata=metadata,
        run_metadata=run_metadata or {},
        waiting=waiting,
        complete=complete,
    )


def _findings(results: Sequence[GateResult]) -> str:
    return "; ".join(f"{result.gate}: {result.message}" for result in results if not result.passed)


def _cell(text: str) -> str:
    """Escape the text of a cell for a Markdown table, so that nothing in it acts as markup."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", html.escape(text.replace("\n", " "), quote=False))
