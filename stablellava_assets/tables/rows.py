"""Row-level incrementality: plan every row, take over what is unchanged, make only what is new."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from stablellava_assets.tables.schemas import DEFERRED, FAILED, MADE
from stablellava_assets.tables.table import Table

if TYPE_CHECKING:
    from stablellava_assets.tables.journal import RowJournal

Row = dict[str, Any]
_SECONDS_BETWEEN_REPORTS = 5.0
_ROWS_KEPT_TOGETHER = 256


@dataclass(frozen=True)
class PlannedRow:
    """A row that should exist. ``row_key`` hashes everything that determines it; ``inputs`` is what making it needs."""

    row_id: str
    row_key: str
    inputs: Mapping[str, Any]


Make = Callable[[Sequence[PlannedRow]], Iterable[Row]]
"""Makes the planned rows, in any order, each complete but for ``run_id``; yields a row as soon as it is finished, or
returns a list where no row waits for anything.

A row that cannot be made is yielded as failed (or deferred) with its reason; an exception is a fault of the whole
stage.
"""


@dataclass(frozen=True)
class Refreshed:
    """A partition brought up to date, and how.

    ``reused`` rows were published before, ``resumed`` ones were finished by a run that then died, ``computed`` ones
    are new; ``failed`` and ``deferred`` count rows of any of these that could not be made. ``unchanged`` says that what is
    published is just this.
    """

    data: pa.Table
    reused: int
    resumed: int
    computed: int
    failed: int
    deferred: int
    unchanged: bool

    @property
    def counts(self) -> dict[str, int]:
        """The numbers a person wants to see after a run."""
        return {
            "rows": self.data.num_rows,
            "reused": self.reused,
            "resumed": self.resumed,
            "computed": self.computed,
            "failed": self.failed,
            "deferred": self.deferred,
        }


def refresh(
    table: Table,
    planned: Sequence[PlannedRow],
    previous: pa.Table | None,
    journal: RowJournal,
    make: Make,
    run_id: str,
    report: Callable[[str], None],
) -> Refreshed:
    """Bring a partition up to date with its plan.

    Args:
        table: what is made.
        planned: every row that should exist, in order; rows that are no longer planned are dropped.
        previous: the published rows, if any.
        journal: where finished rows are kept until the partition is published.
        make: makes the rows that are missing.
        run_id: recorded in the rows this call makes.
        report: receives a progress line every few seconds.

    Raises:
        ValueError: ``make`` left out a row, or made one that was not asked for.
    """
    published = previous if previous is not None else table.schema.empty_table()
    finished = journal.rows()
    at = _index(table, published)
    resumed_at = {key: index + published.num_rows for key, index in _index(table, finished).items() if key not in at}
    known = at | resumed_at

    missing = [row for row in planned if (row.row_id, row.row_key) not in known]
    made = _make_missing(table, missing, journal, make, run_id, report)
    everything = pa.concat_tables([published, finished, made])
    offset = published.num_rows + finished.num_rows
    known |= {key: offset + index for key, index in _index(table, made, DEFERRED).items()}

    keys = [(row.row_id, row.row_key) for row in planned]
    data = everything.take(pa.array([known[key] for key in keys], pa.int64()))
    statuses = data.column("status").to_pylist()
    return Refreshed(
        data=data,
        reused=sum(key in at for key in keys),
        resumed=sum(key in resumed_at for key in keys),
        computed=made.num_rows,
        failed=statuses.count(FAILED),
        deferred=statuses.count(DEFERRED),
        unchanged=previous is not None and data.equals(previous),
    )


def _index(table: Table, data: pa.Table, *also: str) -> dict[tuple[str, str], int]:
    """Where the rows that need not be made again stand, by (id, key); deferred ones are among them if ``also`` says so."""
    columns = (data.column(name).to_pylist() for name in (table.row_id, "row_key", "status"))
    settled = {MADE, FAILED, *also}
    return {
        (row_id, row_key): index
        for index, (row_id, row_key, status) in enumerate(zip(*columns, strict=True))
        if status in settled
    }


def _make_missing(
    table: Table,
    missing: Sequence[PlannedRow],
    journal: RowJournal,
    make: Make,
    run_id: str,
    report: Callable[[str], None],
) -> pa.Table:
    wanted = {row.row_id: row.row_key for row in missing}
    if len(wanted) != len(missing):
        raise ValueError(f"{table.name}: the plan holds an id twice")
    made: list[pa.RecordBatch] = []
    started = reported = time.monotonic()
    for rows in _finished_together(make(missing)) if missing else ():
        for row in rows:
            if wanted.pop(row[table.row_id], None) != row["row_key"]:
                raise ValueError(f"{table.name}: row {row[table.row_id]!r} was made but not asked for")
            row["run_id"] = run_id
        made.append(journal.append(rows))
        now = time.monotonic()
        if now - reported > _SECONDS_BETWEEN_REPORTS:
            reported = now
            done = len(missing) - len(wanted)
            report(f"{done} of {len(missing)} rows, {done / (now - started):.0f} rows/s")
    if wanted:
        raise ValueError(f"{table.name}: {len(wanted)} rows were not made, the first is {next(iter(wanted))!r}")
    return pa.Table.from_batches(made, table.schema)


def _finished_together(made: Iterable[Row]) -> Iterator[Sequence[Row]]:
    """The rows of a list in groups, which takes a tenth of the time; those of an iterator, which may wait, one by one."""
    if isinstance(made, list):
        for start in range(0, len(made), _ROWS_KEPT_TOGETHER):
            yield made[start : start + _ROWS_KEPT_TOGETHER]
    else:
        for row in made:
            yield [row]
