"""The DuckDB warehouse for queries: a copy of the Parquet store that can always be rebuilt."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from filelock import FileLock

from stablellava_assets.inputs.explained import ExplainedError, remedy_of, system_message
from stablellava_assets.tables.schemas import TABLES
from stablellava_assets.tables.store import ParquetStore, Partition, StoreError
from stablellava_assets.tables.table import AnyTable

if TYPE_CHECKING:
    import duckdb

_LEDGER = "published_partitions"
_HOLDER = re.compile(r"Conflicting lock is held in (.+? \(PID \d+\)(?: by user \S+)?)")
_OF_THE_SYSTEM = re.compile(
    r"permission denied|read-only file system|no space left|disk quota|too many open files|input/output error|stale"
    r" file handle"
    r"|resource temporarily unavailable|cannot open file",
    re.IGNORECASE,
)
_OF_THE_FILE = re.compile(
    r"not a valid duckdb|corrupt|could not read enough bytes|checksum|serializ|deserializ|storage version|version"
    r" number"
    r"|failed to load metadata|replaying wal",
    re.IGNORECASE,
)


_NOT_IN_ARROW = re.compile(r"\b(?:UHUGEINT|BIGNUM|VARINT|BIT)\b")


class WarehouseError(ExplainedError, RuntimeError):
    """The warehouse cannot be read or written at the moment; the message names the reason and the
    remedy. The tables are unaffected."""


class QueryError(ExplainedError, ValueError):
    """SQL that DuckDB rejects; the message is DuckDB's."""


class Warehouse:
    """One DuckDB file that is kept in sync with a store.

    DuckDB allows one writing process at a time, so every change holds a lock file for one short transaction.
    Encoded images stay in Parquet; views named ``<table>_pictures`` show them.
    """

    def __init__(self, path: Path, store: ParquetStore) -> None:
        self._path = path
        self._store = store
        self._lock = FileLock(f"{path}.lock")
        self._behind = Path(f"{path}.behind")

    @property
    def path(self) -> Path:
        """Path of the file, which may not exist yet."""
        return self._path

    def sync(self, tables: Sequence[AnyTable] = TABLES) -> dict[str, int]:
        """Copy every partition that is newer in the store, and drop those that no longer exist.

        The next call completes an interrupted one, and copies what could not be copied while another process used
        the file. Tables without published rows exist, but are empty. Returns the number of changed partitions by table.

        Raises:
            WarehouseError: another process has the file open, it is damaged, or it is not writable.
            StoreError: a table's file cannot be read.
        """
        try:
            with self._explained():
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._lock, self._opened() as connection:
                    for table in TABLES:
                        _make_table(connection, table)
                    wanted = TABLES if self._behind.exists() else tables
                    changed = {table.name: self._sync_table(connection, table) for table in wanted}
                self._behind.unlink(missing_ok=True)
        except (WarehouseError, StoreError):
            self._remember()
            raise
        return {table.name: changed[table.name] for table in tables}

    def catch_up(self) -> None:
        """Copy what other machines published, or what could not be copied when it was published.

        A warehouse that lacks nothing is only read.

        Raises:
            WarehouseError: it lacks something, and cannot be written at the moment.
            StoreError: a table cannot be listed or read.
        """
        if self._lacks_something():
            self.sync()

    def _lacks_something(self) -> bool:
        import duckdb

        if not self._path.exists():
            return any(self._store.partitions(table) for table in TABLES)
        with self._explained(), self._waiting(), duckdb.connect(str(self._path), read_only=True) as connection:
            return any(_copied(connection, table) != self._store.versions(table) for table in TABLES)

    def rebuild(self) -> dict[str, int]:
        """Rebuild the warehouse from the store. Returns the number of copied partitions by table.

        Raises:
            WarehouseError: it is not writable.
            StoreError: a table's file cannot be read.
        """
        with self._explained():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock:
                self._path.unlink(missing_ok=True)
                Path(f"{self._path}.wal").unlink(missing_ok=True)
                return self.sync()

    def query(self, sql: str) -> pa.Table:
        """Run a read-only query while no other process of this project writes.

        Raises:
            WarehouseError: there is no warehouse yet, another process writes to it, it is
                damaged, or it is not readable.
            QueryError: the SQL is not a query, or DuckDB rejects it.
        """
        import duckdb

        with self._explained():
            if not self._path.exists():
                raise WarehouseError(
                    f"{self._path}: there is no warehouse yet; materialize something first (make demo), or make it "
                    "from the tables with `stablellava rebuild-warehouse`"
                )
            with self._waiting(), duckdb.connect(str(self._path), read_only=True) as connection:
                self._store.let_duckdb_read(connection)
                try:
                    found = connection.sql(sql)
                    if found is None:
                        raise QueryError("there is no query in it; write one, as in SELECT * FROM ability_scores")
                    result = _in_arrow(found)
                except duckdb.Error as error:
                    if _OF_THE_FILE.search(str(error)) or isinstance(error, duckdb.FatalException):
                        raise
                    raise QueryError(str(error)) from error
                return result

    def _remember(self) -> None:
        """Make the next call copy the missing partitions of all tables."""
        try:
            self._behind.touch()
        except OSError:
            # An unwritable folder: its own stages report it, and `rebuild-warehouse` copies everything.
            return

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Wait until no process of this project writes. A folder without write permission has no writers."""
        try:
            self._lock.acquire()
        except OSError:
            yield
            return
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except duckdb.Error as error:
            raise WarehouseError(self._reason(str(error))) from error
        except OSError as error:
            raise WarehouseError(
                f"{self._path}: cannot be opened ({system_message(error)}); {remedy_of(error)}"
            ) from error

    def _reason(self, message: str) -> str:
        message = " ".join(message.split())
        if "could not set lock" in message.casefold():
            holder = found[1] if (found := _HOLDER.search(message)) else "another program"
            return (
                f"{self._path}: is open elsewhere, in {holder}; close it there, or open it read-only and only while "
                "you look. It is a copy of the tables, and what it lacks is copied by the next stage or by "
                "`stablellava rebuild-warehouse`"
            )
        if _OF_THE_SYSTEM.search(message) and not _OF_THE_FILE.search(message):
            return f"{self._path}: cannot be opened ({message}); make room, or see to its permissions"
        return (
            f"{self._path}: is damaged or of another version of DuckDB ({message}); it is a copy of the tables, which "
            "`stablellava rebuild-warehouse` rebuilds"
        )

    @contextmanager
    def _opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        import duckdb

        with duckdb.connect(str(self._path)) as connection:
            self._store.let_duckdb_read(connection)
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {_LEDGER} "
                "(table_name VARCHAR, partition_key VARCHAR, version VARCHAR, PRIMARY KEY (table_name, partition_key))"
            )
            yield connection

    def _sync_table(self, connection: duckdb.DuckDBPyConnection, table: AnyTable) -> int:
        plain = table.without_images
        in_store, copied = self._store.versions(table), _copied(connection, table)
        changed = [partition for partition, version in in_store.items() if copied.get(partition) != version]
        gone = [partition for partition in copied if partition not in in_store]
        replaced = [*changed, *gone]
        # A file of an earlier version holds what later ones divide, so copying it replaces those as well.
        divided = {other for other in in_store for whole in replaced if other[: len(whole)] == whole}
        for partition in sorted({*replaced, *divided}, key=len):
            data = self._store.read(table, partition, plain)
            connection.begin()
            self._replace(connection, table, partition, data, in_store.get(partition))
            connection.commit()
        if len(plain) < len(table.columns) and in_store:
            self._show_pictures(connection, table, in_store)
        return len(changed) + len(gone)

    @staticmethod
    def _replace(
        connection: duckdb.DuckDBPyConnection,
        table: AnyTable,
        partition: Partition,
        data: pa.Table | None,
        version: str | None,
    ) -> None:
        columns = table.partitioned_by[: len(partition)]
        of_partition = " AND ".join(f"{column} = ?" for column in columns) or "true"
        key = "|".join(partition)
        connection.execute(f"DELETE FROM {table.name} WHERE {of_partition}", list(partition))
        connection.execute(f"DELETE FROM {_LEDGER} WHERE table_name = ? AND partition_key = ?", [table.name, key])
        if data is not None:
            connection.register("incoming", data)
            connection.execute(f"INSERT INTO {table.name} SELECT * FROM incoming")
            connection.execute(f"INSERT INTO {_LEDGER} VALUES (?, ?, ?)", [table.name, key, version])

    def _show_pictures(
        self, connection: duckdb.DuckDBPyConnection, table: AnyTable, partitions: Iterable[Partition]
    ) -> None:
        # Each file by name, because a pattern would also match copies. DuckDB treats names as
        # patterns, so they are escaped.
        names = (
            glob.escape(self._store.readable_name(table, partition)).replace("'", "''") for partition in partitions
        )
        listed = ", ".join(f"'{name}'" for name in names)
        connection.execute(
            f"CREATE OR REPLACE VIEW {table.name}_pictures AS SELECT {table.row_id}, image "
            f"FROM read_parquet([{listed}], hive_partitioning = false)"
        )


def _copied(connection: duckdb.DuckDBPyConnection, table: AnyTable) -> dict[Partition, str]:
    """The versions of the partitions that were copied."""
    ledger = connection.execute(
        f"SELECT partition_key, version FROM {_LEDGER} WHERE table_name = ?", [table.name]
    ).fetchall()
    return {tuple(key.split("|")) if key else (): version for key, version in ledger}


def _in_arrow(found: duckdb.DuckDBPyRelation) -> pa.Table:
    """A result as a table; types that Arrow lacks, or that DuckDB converts differently, become text."""
    texts = [number for number, kind in enumerate(found.types, 1) if _NOT_IN_ARROW.search(str(kind))]
    names = found.columns
    if texts:
        found = found.project(
            ", ".join(f"#{number}::VARCHAR" if number in texts else f"#{number}" for number in range(1, len(names) + 1))
        )
    table: pa.Table = found.to_arrow_table()
    return table.rename_columns(names)


def _make_table(connection: duckdb.DuckDBPyConnection, table: AnyTable) -> None:
    plain = table.without_images
    connection.register("incoming", table.schema.empty_table().select(plain))
    connection.execute(f"CREATE TABLE IF NOT EXISTS {table.name} AS SELECT * FROM incoming")
    if [name for name, *_ in connection.execute(f"DESCRIBE {table.name}").fetchall()] != plain:
        # The table was created by another version of this program.
        connection.execute(f"CREATE OR REPLACE TABLE {table.name} AS SELECT * FROM incoming")
        connection.execute(f"DELETE FROM {_LEDGER} WHERE table_name = ?", [table.name])
