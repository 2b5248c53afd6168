"""A store with changes that are never published: they lie in a temporary folder over the tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pyarrow as pa

from stablellava_assets.tables.store import ParquetStore, Partition, PartitionFile
from stablellava_assets.tables.table import AnyTable

if TYPE_CHECKING:
    import duckdb


class OverlaidStore(ParquetStore):
    """The tables of ``below``, except for the partitions that were published here, which hide those below.

    What is published here is removed with this object.
    """

    def __init__(self, below: ParquetStore) -> None:
        super().__init__(below.url)
        self._below = below
        self._folder = TemporaryDirectory(prefix="stablellava-tables-")
        self._above = ParquetStore(self._folder.name)

    def path(self, table: AnyTable, partition: Partition) -> str:
        """Path of a partition, which may not exist yet."""
        return self._of(table, partition).path(table, partition)

    def partitions(self, table: AnyTable) -> list[Partition]:
        """The partitions of both, sorted."""
        return sorted({*self._above.partitions(table), *self._below.partitions(table)})

    def let_duckdb_read(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make :meth:`readable_name` readable in ``connection``."""
        self._below.let_duckdb_read(connection)

    def readable_name(self, table: AnyTable, partition: Partition) -> str:
        """The file of a partition as DuckDB names it."""
        return self._of(table, partition).readable_name(table, partition)

    def holds(self, table: AnyTable, partition: Partition) -> bool:
        """Whether the partition exists."""
        return self._of(table, partition).holds(table, partition)

    def version(self, table: AnyTable, partition: Partition) -> str:
        """A token that changes whenever the partition is published."""
        return self._of(table, partition).version(table, partition)

    @contextmanager
    def open(
        self, table: AnyTable, partition: Partition, columns: Sequence[str] | None = None
    ) -> Iterator[PartitionFile]:
        """A partition, of which any part can be read. Raises the errors of :class:`ParquetStore`."""
        with self._of(table, partition).open(table, partition, columns) as opened:
            yield opened

    def versions(self, table: AnyTable) -> dict[Partition, str]:
        """Tokens that change whenever a partition is published."""
        return {**self._below.versions(table), **self._above.versions(table)}

    def publish(self, table: AnyTable, partition: Partition, data: pa.Table | Iterable[pa.Table]) -> str:
        """Write a partition to the temporary folder."""
        return self._above.publish(table, partition, data)

    def withdraw(self, table: AnyTable, partition: Partition) -> None:
        """Remove a partition from the temporary folder."""
        self._above.withdraw(table, partition)

    def _of(self, table: AnyTable, partition: Partition) -> ParquetStore:
        return self._above if self._above.holds(table, partition) else self._below
