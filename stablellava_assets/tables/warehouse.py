"""The DuckDB warehouse: what people query. A copy of the Parquet store that can always be rebuilt from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from filelock import FileLock

from stablellava_assets.tables.schemas import TABLES
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets.tables.table import IMAGE, Table

if TYPE_CHECKING:
    import duckdb

_LEDGER = "published_partitions"


class Warehouse:
    """One DuckDB file kept in step with a store.

    DuckDB lets one process at a time open the file, so every use holds a lock file for one short transaction.
    Encoded pictures stay in Parquet: views named ``<table>_pictures`` show them.
    """

    def __init__(self, path: Path, store: ParquetStore) -> None:
        self._path = path
        self._store = store
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(f"{path}.lock")

    def sync(self, tables: Sequence[Table] = TABLES) -> dict[str, int]:
        """Copy every partition that is newer in the store, and forget those that are gone.

        Whatever an interrupted run left out is made good by the next call, and a table of which nothing has been made is
        there, empty. Returns partitions changed, by table.
        """
        with self._open() as connection:
            for table in TABLES:
                _make_table(connection, table)
            return {table.name: self._sync_table(connection, table) for table in tables}

    def rebuild(self) -> dict[str, int]:
        """Make the warehouse anew from the store. Returns partitions copied, by table."""
        with self._lock:
            self._path.unlink(missing_ok=True)
            Path(f"{self._path}.wal").unlink(missing_ok=True)
            return self.sync()

    def query(self, sql: str) -> pa.Table:
        """Run a query while no other process of this project writes."""
        with self._open() as connection:
            result: pa.Table = connection.sql(sql).to_arrow_table()
            return result

    @contextmanager
    def _open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        import duckdb

        with self._lock, duckdb.connect(str(self._path)) as connection:
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {_LEDGER} "
                "(table_name VARCHAR, partition_key VARCHAR, version VARCHAR, PRIMARY KEY (table_name, partition_key))"
            )
            yield connection

    def _sync_table(self, connection: duckdb.DuckDBPyConnection, table: Table) -> int:
        plain = _plain_columns(table)
        in_store = {partition: self._store.version(table, partition) for partition in self._store.partitions(table)}
        ledger = connection.execute(
            f"SELECT partition_key, version FROM {_LEDGER} WHERE table_name = ?", [table.name]
        ).fetchall()
        copied = {tuple(key.split("|")) if key else (): version for key, version in ledger}
        changed = [partition for partition, version in in_store.items() if copied.get(partition) != version]
        gone = [partition for partition in copied if partition not in in_store]
        for partition in [*changed, *gone]:
            data = self._store.read(table, partition, plain)
            connection.begin()
            self._replace(connection, table, partition, data, in_store.get(partition))
            connection.commit()
        if len(plain) < len(table.columns) and in_store:
            self._show_pictures(connection, table)
        return len(changed) + len(gone)

    @staticmethod
    def _replace(
        connection: duckdb.DuckDBPyConnection,
        table: Table,
        partition: Partition,
        data: pa.Table | None,
        version: str | None,
    ) -> None:
        of_partition = " AND ".join(f"{column} = ?" for column in table.partitioned_by) or "true"
        key = "|".join(partition)
        connection.execute(f"DELETE FROM {table.name} WHERE {of_partition}", list(partition))
        connection.execute(f"DELETE FROM {_LEDGER} WHERE table_name = ? AND partition_key = ?", [table.name, key])
        if data is not None:
            connection.register("incoming", data)
            connection.execute(f"INSERT INTO {table.name} SELECT * FROM incoming")
            connection.execute(f"INSERT INTO {_LEDGER} VALUES (?, ?, ?)", [table.name, key, version])

    def _show_pictures(self, connection: duckdb.DuckDBPyConnection, table: Table) -> None:
        pattern = self._store.glob(table).replace("'", "''")
        connection.execute(
            f"CREATE OR REPLACE VIEW {table.name}_pictures AS SELECT {table.row_id}, image "
            f"FROM read_parquet('{pattern}', hive_partitioning = false)"
        )


def _make_table(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    plain = _plain_columns(table)
    connection.register("incoming", table.schema.empty_table().select(plain))
    connection.execute(f"CREATE TABLE IF NOT EXISTS {table.name} AS SELECT * FROM incoming")
    if [name for name, *_ in connection.execute(f"DESCRIBE {table.name}").fetchall()] != plain:
        # Another version of this program made it.
        connection.execute(f"CREATE OR REPLACE TABLE {table.name} AS SELECT * FROM incoming")
        connection.execute(f"DELETE FROM {_LEDGER} WHERE table_name = ?", [table.name])


def _plain_columns(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.type != IMAGE]
