"""Quarantine: rows of partitions that failed their gates, with the results, for inspection."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from stablellava_assets.checks.gates import GateResult
from stablellava_assets.checks.reasons import commonest_reasons, on_one_line, reasons_of
from stablellava_assets.inputs.explained import is_system_error, remedy_of, system_message
from stablellava_assets.tables.places import Place
from stablellava_assets.tables.row_groups import write_row_groups
from stablellava_assets.tables.schemas import TABLES
from stablellava_assets.tables.store import Partition, StoreError
from stablellava_assets.tables.table import AnyTable

_SUFFIX = ".parquet"
_FOUND = b"stablellava_gates"


@dataclass(frozen=True)
class RefusedPartition:
    """A partition that failed its gates: its file, number of rows and results; None for what was not recorded.

    ``unreadable`` says why the file cannot be read.
    """

    file: str
    place: Place
    rows: int
    refused_at: datetime
    found: Mapping[str, str] | None
    unreadable: str | None = None

    @property
    def name(self) -> str:
        """Its name for :meth:`Quarantine.find`."""
        return self.file.removesuffix(_SUFFIX)

    @property
    def table(self) -> str:
        """Name of its table."""
        return self.file.partition("/")[0]

    @property
    def location(self) -> str:
        """Absolute path or URL of the file."""
        return self.place.at(self.file)


class Quarantine:
    """Parquet files, one per failed partition and run, in one subfolder per table."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def keep(
        self,
        table: AnyTable,
        partition: Partition,
        run_id: str,
        rows: Iterable[pa.Table],
        results: Sequence[GateResult],
    ) -> RefusedPartition:
        """Store the rows of a partition that failed its gates."""
        name = f"{table.name}/{'-'.join([*partition, run_id[:8]])}{_SUFFIX}"
        found = json.dumps({result.gate: result.message for result in results if not result.passed})
        schema = table.schema.with_metadata({**(table.schema.metadata or {}), _FOUND: found.encode()})
        with self._place.writing(name) as file:
            write_row_groups(rows, schema, file)
        return self._entry(name)

    def entries(self) -> list[RefusedPartition]:
        """All entries, newest first, including unreadable ones."""
        files = [name for name in self._place.files() if name.count("/") == 1 and name.endswith(_SUFFIX)]
        found = [self._entry(name) for name in files]
        return sorted(found, key=lambda entry: entry.refused_at, reverse=True)

    def find(self, name: str) -> list[RefusedPartition]:
        """The entries for a path, a name such as ``images/animal-0001-1f2e3d4c``, or a prefix of one; newest first."""
        wanted = name.strip().removesuffix(_SUFFIX).replace("|", "-")
        if not wanted:
            return []
        return [
            entry
            for entry in self.entries()
            if entry.name.startswith(wanted)
            or entry.name.partition("/")[2].startswith(wanted)
            or f"/{entry.location.removesuffix(_SUFFIX)}".endswith(f"/{wanted}")
        ]

    def _entry(self, name: str) -> RefusedPartition:
        refused_at = self._place.written(name)
        if (folder := name.partition("/")[0]) not in {table.name for table in TABLES}:
            why = f"{folder} is no table of this project; move the file away"
            return RefusedPartition(name, self._place, 0, refused_at, None, why)
        try:
            with self._place.opened(name) as file:
                described = pq.ParquetFile(file).metadata
        except (pa.ArrowInvalid, OSError) as error:
            return RefusedPartition(name, self._place, 0, refused_at, None, _why_unreadable(error))
        return RefusedPartition(name, self._place, described.num_rows, refused_at, _found_in(described.metadata))


def quarantine_list(entries: Sequence[RefusedPartition]) -> str:
    """The entries as text: file, rows, time and results."""
    lines = []
    for entry in entries:
        if entry.unreadable is not None:
            lines += [f"{entry.name}  cannot be read", f"    {entry.location}: {entry.unreadable}"]
            continue
        lines.append(f"{entry.name}  {entry.rows} rows, refused {entry.refused_at:%Y-%m-%d %H:%M}")
        found = entry.found or {"reasons": _reasons(entry) or "not kept; these rows were refused by an earlier version"}
        lines += [f"    {gate}: {observed}" for gate, observed in found.items()]
    return "\n".join(lines)


def quarantined_rows(entry: RefusedPartition, most: int) -> str:
    """The rows of an entry that were not made or were rejected, with their reasons; the others are counted."""
    if entry.unreadable is not None:
        return quarantine_list([entry])
    table = _table_of(entry)
    rows = _read(entry, table).to_pylist()
    blamed = [(row, reasons) for row in rows if (reasons := reasons_of(row))]
    lines = [quarantine_list([entry]), f"    file: {entry.location}", ""]
    for row, reasons in blamed[:most]:
        about = next((str(row[name]) for name in ("prompt", "subject", "question_kind") if row.get(name)), "")
        if further := row.get("further_prompts"):
            about = "; ".join(f"{number}: {prompt}" for number, prompt in enumerate([about, *further], 1))
        standing = row.get("status") or "rejected"
        lines.append(f"{row.get(table.row_id)}  {standing}{f'  {on_one_line(about)}' if about else ''}")
        lines += [f"    {on_one_line(reason.text)}" for reason in reasons]
    if len(blamed) > most:
        lines.append(f"... and {len(blamed) - most} rows more; --rows says how many to show")
    lines.append(f"{len(rows) - len(blamed)} of the {len(rows)} rows have no reason against them.")
    return "\n".join(lines)


def _reasons(entry: RefusedPartition) -> str | None:
    table = _table_of(entry)
    return commonest_reasons(table, _read(entry, table))


def _table_of(entry: RefusedPartition) -> AnyTable:
    return next(table for table in TABLES if table.name == entry.table)


def _read(entry: RefusedPartition, table: AnyTable) -> pa.Table:
    plain = table.without_images
    try:
        with entry.place.opened(entry.file) as file:
            data = pq.ParquetFile(file, pre_buffer=False).read(columns=table.names_in_file(plain), use_threads=False)
        return table.upgraded(data, plain)
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(f"{entry.location}: {_why_unreadable(error)}") from error


def _found_in(metadata: Mapping[bytes, bytes] | None) -> Mapping[str, str] | None:
    """The results recorded by :meth:`Quarantine.keep`; None if there are none."""
    try:
        found = json.loads((metadata or {}).get(_FOUND, b"null"))
    except ValueError:
        return None
    return {str(gate): str(observed) for gate, observed in found.items()} if isinstance(found, dict) else None


def _why_unreadable(error: Exception) -> str:
    if isinstance(error, OSError) and is_system_error(error):
        return f"{error.strerror or system_message(error)}; {remedy_of(error)}"
    return f"damaged Parquet file ({on_one_line(str(error))}); delete it"
