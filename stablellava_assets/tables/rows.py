"""Row-level incremental computation: plan every row, reuse unchanged ones, make the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import pyarrow as pa

from stablellava_assets.tables.pace import Pace, Progress
from stablellava_assets.tables.pair_rows import Blamed
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.schemas import CAUSES, DEFERRED, FAILED, MADE, OF_SETTING
from stablellava_assets.tables.table import AnyTable, RowT, Table, rows_of

if TYPE_CHECKING:
    from stablellava_assets.tables.journal import RowJournal

InputsT = TypeVar("InputsT", covariant=True)
GROUP = 256
"""Number of fast rows that are journaled together, which takes a tenth of the time."""
GROUP_WITH_IMAGES = 32
"""The same, of rows that hold an image."""


@dataclass(frozen=True)
class PlannedRow(Generic[InputsT]):
    """A row that should exist. ``row_key`` hashes everything that determines it; ``inputs`` are needed to make it.

    ``settings_key`` hashes settings that do not affect the row's content but can make it fail; None if there are none.
    """

    row_id: str
    row_key: str
    inputs: InputsT
    settings_key: str | None = None


AnyPlanned = PlannedRow[Any]
"""A planned row of any author or painter; only the one that planned it reads its inputs."""

Make = Callable[[Sequence[PlannedRow[InputsT]]], Iterable[RowT]]
"""Makes the planned rows in any order, without ``run_id``, and yields each as soon as it is finished.

A row that cannot be made is yielded as failed (or deferred) with its reason, and with its ``fault`` unless that is
the first of its ``CAUSES``. An exception is a problem of the whole stage.
"""

MakeTogether = Callable[[Sequence[PlannedRow[InputsT]]], Iterable[Sequence[RowT]]]
"""As :data:`Make`, for rows of which several are finished at once: they are yielded, and journaled, together."""


def is_settled(status: str, fault: str | None, settings_key: str | None, planned_settings_key: str | None) -> bool:
    """Whether a row with the planned id and key is final: made, or failed for a reason that has not changed since."""
    if status == FAILED and fault == OF_SETTING:
        return settings_key == planned_settings_key
    return status in (MADE, FAILED)


@dataclass(frozen=True)
class Refreshed:
    """The up-to-date rows of a partition without their images, with counts.

    ``taken`` says where the complete rows are (:mod:`~stablellava_assets.tables.complete_rows`): indices into the
    published rows followed by those of the journal. ``reused`` rows were published before, ``resumed`` ones were
    finished by an interrupted run, ``computed`` ones are new. ``failed`` and ``deferred`` count rows among all of these
    that could not be made. ``unchanged`` means that the published rows are the same.
    """

    data: pa.Table
    taken: Sequence[int]
    reused: int
    resumed: int
    computed: int
    failed: int
    deferred: int
    unchanged: bool

    @property
    def counts(self) -> dict[str, int]:
        """The counts for reports."""
        return {
            "rows": self.data.num_rows,
            "reused": self.reused,
            "resumed": self.resumed,
            "computed": self.computed,
            "failed": self.failed,
            "deferred": self.deferred,
        }


def refresh_together(
    table: Table[RowT],
    planned: Sequence[PlannedRow[InputsT]],
    previous: pa.Table | None,
    journal: RowJournal[RowT],
    make: MakeTogether[InputsT, RowT],
    run_id: str,
    report: Callable[[str], None],
) -> Refreshed:
    """Bring a partition up to date with its plan.

    Args:
        table: the table.
        planned: every row that should exist, in order; rows that are no longer planned are dropped.
        previous: the published rows, if any; their images are not needed.
        journal: stores finished rows until the partition is published.
        make: makes the missing rows.
        run_id: recorded in the rows that this call makes.
        report: receives a progress line every few seconds.

    Raises:
        ValueError: ``make`` omitted a row, or made one that was not requested.
    """
    columns = table.without_images
    published = table.schema.empty_table() if previous is None else previous
    published = published.select(columns)
    finished = journal.rows(columns)
    at = settled(table, published, planned)
    resumed = settled(table, finished, planned)
    resumed_at = {key: index + published.num_rows for key, index in resumed.items() if key not in at}
    known = at | resumed_at

    missing = [row for row in planned if (row.row_id, row.row_key) not in known]
    made = _make_missing(table, missing, journal, make, run_id, report)
    everything = pa.concat_tables([published, finished, made])
    offset = published.num_rows + finished.num_rows
    keys = [(row.row_id, row.row_key) for row in planned]
    new_ids = zip(texts_of(made, table.row_id), texts_of(made, "row_key"), strict=True)
    known |= {key: offset + index for index, key in enumerate(new_ids)}

    taken = [known[key] for key in keys]
    data = everything.take(pa.array(taken, pa.int64()))
    statuses = texts_of(data, "status")
    return Refreshed(
        data=data,
        taken=taken,
        reused=sum(key in at for key in keys),
        resumed=sum(key in resumed_at for key in keys),
        computed=made.num_rows,
        failed=statuses.count(FAILED),
        deferred=statuses.count(DEFERRED),
        unchanged=previous is not None and taken == list(range(published.num_rows)),
    )


class _Stored(Blamed):
    """The columns that decide whether a row is made again."""

    row_key: str
    status: str


def settled(table: AnyTable, data: pa.Table, planned: Sequence[AnyPlanned]) -> dict[tuple[str, str], int]:
    """Indices in ``data`` of the rows that are final, by (id, key)."""
    settings = {(row.row_id, row.row_key): row.settings_key for row in planned}
    blame = ("fault", "settings_key") if table.tells_faults else ()
    rows = rows_of(_Stored, data.select(["row_key", "status", *blame]))
    keyed = ((row, (row_id, row["row_key"])) for row, row_id in zip(rows, texts_of(data, table.row_id), strict=True))
    return {
        key: index
        for index, (row, key) in enumerate(keyed)
        if is_settled(row["status"], row.get("fault"), row.get("settings_key"), settings.get(key))
    }


def _blame(table: AnyTable, row: dict[str, Any], settings_key: str | None) -> None:
    """Fill in the cause of rows that were not made, and the settings key."""
    if table.tells_faults:
        causes = CAUSES.get(row["status"], (None,))
        row["fault"] = row.get("fault") if row.get("fault") in causes else causes[0]
        row["settings_key"] = settings_key if row["fault"] == OF_SETTING else None


def _make_missing(
    table: Table[RowT],
    missing: Sequence[PlannedRow[InputsT]],
    journal: RowJournal[RowT],
    make: MakeTogether[InputsT, RowT],
    run_id: str,
    report: Callable[[str], None],
) -> pa.Table:
    wanted = {row.row_id: row for row in missing}
    if len(wanted) != len(missing):
        raise ValueError(f"{table.name}: the plan holds an id twice")
    made: list[pa.RecordBatch] = []
    started, pace = time.monotonic(), Pace()
    for rows in make(missing) if missing else ():
        # Whether the columns exist is known of the table, not of the row type.
        for row in cast("list[dict[str, Any]]", rows):
            asked_for = wanted.pop(row[table.row_id], None)
            if asked_for is None or asked_for.row_key != row["row_key"]:
                raise ValueError(f"{table.name}: row {row[table.row_id]!r} was made but not asked for")
            row["run_id"] = run_id
            _blame(table, row, asked_for.settings_key)
        made.append(journal.append(rows).select(table.without_images))
        if pace.is_due():
            done = len(missing) - len(wanted)
            rate = done / (time.monotonic() - started)
            report(Progress(f"{done} of {len(missing)} rows, {rate:.0f} rows/s", done, len(missing)))
    if wanted:
        raise ValueError(f"{table.name}: {len(wanted)} rows were not made, the first is {next(iter(wanted))!r}")
    return pa.Table.from_batches(made, table.schema.empty_table().select(table.without_images).schema)


def in_groups(make: Make[InputsT, RowT], size: int) -> MakeTogether[InputsT, RowT]:
    """Makes the same rows, ``size`` at a time."""

    def make_groups(missing: Sequence[PlannedRow[InputsT]]) -> Iterator[list[RowT]]:
        rows = iter(make(missing))
        while group := list(islice(rows, size)):
            yield group

    return make_groups
