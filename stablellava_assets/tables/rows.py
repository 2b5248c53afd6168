"""Row-level incrementality: plan every row, take over what is unchanged, make only what is new."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from stablellava_assets.tables.pace import Pace
from stablellava_assets.tables.row import Row
from stablellava_assets.tables.schemas import CAUSES, DEFERRED, FAILED, MADE, OF_SETTING
from stablellava_assets.tables.table import Table

if TYPE_CHECKING:
    from stablellava_assets.tables.journal import RowJournal

_ROWS_KEPT_TOGETHER = 256


@dataclass(frozen=True)
class PlannedRow:
    """A row that should exist. ``row_key`` hashes everything that determines it; ``inputs`` is what making it needs.

    ``settings_key`` hashes what does not shape the row and may yet make it fail; None where there is no such thing.
    """

    row_id: str
    row_key: str
    inputs: Mapping[str, Any]
    settings_key: str | None = None


Make = Callable[[Sequence[PlannedRow]], Iterable[Row]]
"""Makes the planned rows, in any order, each complete but for ``run_id``; yields a row as soon as it is finished, or
returns a list where no row waits for anything.

A row that cannot be made is yielded as failed (or deferred) with its reason, and with its ``fault`` where that is not
the first of its ``CAUSES``; an exception is a fault of the whole stage.
"""


def is_settled(status: str, fault: str | None, settings_key: str | None, planned_settings_key: str | None) -> bool:
    """Whether a row of the planned id and key stays as it is: made, or failed in a way that nothing has mended since."""
    if status == FAILED and fault == OF_SETTING:
        return settings_key == planned_settings_key
    return status in (MADE, FAILED)


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
    at = _index(table, published, planned)
    resumed = _index(table, finished, planned)
    resumed_at = {key: index + published.num_rows for key, index in resumed.items() if key not in at}
    known = at | resumed_at

    missing = [row for row in planned if (row.row_id, row.row_key) not in known]
    made = _make_missing(table, missing, journal, make, run_id, report)
    everything = pa.concat_tables([published, finished, made])
    offset = published.num_rows + finished.num_rows
    keys = [(row.row_id, row.row_key) for row in planned]
    new_ids = zip(made.column(table.row_id).to_pylist(), made.column("row_key").to_pylist(), strict=True)
    known |= {key: offset + index for index, key in enumerate(new_ids)}

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


def _index(table: Table, data: pa.Table, planned: Sequence[PlannedRow]) -> dict[tuple[str, str], int]:
    """Where the rows that need not be made again stand, by (id, key)."""
    settings = {(row.row_id, row.row_key): row.settings_key for row in planned}
    blame = ("fault", "settings_key") if table.tells_faults else ()
    rows = data.select([table.row_id, "row_key", "status", *blame]).to_pylist()
    keyed = ((index, row, (row[table.row_id], row["row_key"])) for index, row in enumerate(rows))
    return {
        key: index
        for index, row, key in keyed
        if is_settled(row["status"], row.get("fault"), row.get("settings_key"), settings.get(key))
    }


def _blame(table: Table, row: Row, settings_key: str | None) -> None:
    """Fill in whose fault it is that a row is not made, and the settings to blame."""
    if table.tells_faults:
        causes = CAUSES.get(row["status"], (None,))
        row["fault"] = row.get("fault") if row.get("fault") in causes else causes[0]
        row["settings_key"] = settings_key if row["fault"] == OF_SETTING else None


def _make_missing(
    table: Table,
    missing: Sequence[PlannedRow],
    journal: RowJournal,
    make: Make,
    run_id: str,
    report: Callable[[str], None],
) -> pa.Table:
    wanted = {row.row_id: row for row in missing}
    if len(wanted) != len(missing):
        raise ValueError(f"{table.name}: the plan holds an id twice")
    made: list[pa.RecordBatch] = []
    started, pace = time.monotonic(), Pace()
    for rows in _finished_together(make(missing)) if missing else ():
        for row in rows:
            asked_for = wanted.pop(row[table.row_id], None)
            if asked_for is None or asked_for.row_key != row["row_key"]:
                raise ValueError(f"{table.name}: row {row[table.row_id]!r} was made but not asked for")
            row["run_id"] = run_id
            _blame(table, row, asked_for.settings_key)
        made.append(journal.append(rows))
        if pace.is_due():
            done = len(missing) - len(wanted)
            report(f"{done} of {len(missing)} rows, {done / (time.monotonic() - started):.0f} rows/s")
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
