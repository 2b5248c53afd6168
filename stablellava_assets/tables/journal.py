"""Finished rows of an unfinished partition on disk, so that an interrupted run loses only the rows in progress."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Generic, Self

import pyarrow as pa

from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.sqlite import open_sqlite
from stablellava_assets.tables.store import Partition, StoreError
from stablellava_assets.tables.table import RowT, Table


class RowJournal(Generic[RowT]):
    """An append-only log of rows. They survive the death of the process once :meth:`append` returns."""

    def __init__(self, folder: Path, table: Table[RowT], partition: Partition) -> None:
        self._table = table
        # Rows of another schema cannot be reused, so they have another file.
        version = content_key(str(table.schema.remove_metadata()))[:8]
        self._path = folder / table.name / f"{'-'.join(partition) or 'whole'}.{version}.sqlite"

    def __enter__(self) -> Self:
        try:
            self._connection = open_sqlite(self._path, "CREATE TABLE IF NOT EXISTS finished (row_data BLOB NOT NULL)")
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"{self._path}: cannot be opened ({error}); delete it to start this partition over"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def append(self, rows: Sequence[RowT]) -> pa.RecordBatch:
        """Store finished rows, all of them or none; returns them as Arrow data.

        Raises:
            StoreError: they could not be written, for example because the disk is full.
        """
        batch = self._table.batch_from_rows(rows)
        try:
            self._connection.execute("INSERT INTO finished VALUES (?)", (batch.serialize().to_pybytes(),))
        except sqlite3.Error as error:
            raise StoreError(
                f"{self._path}: could not be written ({error}); make room and run again, finished rows are kept"
            ) from error
        return batch

    def rows(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All stored rows, in order; in memory are only ``columns``, if given."""
        schema = self._table.schema
        if columns is None:
            return pa.Table.from_batches((self._decoded(blob) for blob in self._blobs()), schema)
        chosen = schema.empty_table().select(columns).schema
        return pa.Table.from_batches((_copied(self._decoded(blob).select(columns)) for blob in self._blobs()), chosen)

    def numbers(self) -> list[int]:
        """The numbers for :meth:`group`, in order; no rows are read."""
        return [number for (number,) in self._connection.execute("SELECT rowid FROM finished ORDER BY rowid")]

    def group(self, number: int) -> pa.Table:
        """The rows that were appended at once."""
        (blob,) = self._connection.execute("SELECT row_data FROM finished WHERE rowid = ?", (number,)).fetchone()
        return pa.Table.from_batches([self._decoded(blob)], self._table.schema)

    def _blobs(self) -> Iterator[bytes]:
        return (blob for (blob,) in self._connection.execute("SELECT row_data FROM finished ORDER BY rowid"))

    def _decoded(self, blob: bytes) -> pa.RecordBatch:
        return pa.ipc.read_record_batch(pa.py_buffer(blob), self._table.schema)

    def discard(self) -> None:
        """Delete the journal, once its rows are published."""
        self._connection.close()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)


def _copied(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows without the memory that they are a part of."""
    return batch.take(pa.array(range(batch.num_rows), pa.int64()))
