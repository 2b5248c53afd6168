"""Tables that processes share: a SQLite file on one machine, a schema in PostgreSQL for several.

Statements are written in what both understand, with ``?`` for values and without per cent signs.
"""

from __future__ import annotations

import select
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from stablellava_assets.state.database import Database, DatabaseError
from stablellava_assets.state.locks import DatabaseLocks, FileLocks, Locks, lock_key
from stablellava_assets.tables.sqlite import open_sqlite

_LONGEST_WAIT_S = 120.0
_RECONNECT_S = 60.0


class SqlError(Exception):
    """The tables could not be opened, read or written; the message is the database's."""


class Rows(Protocol):
    """What a statement found."""

    def fetchone(self) -> Any:
        """The next row; None after the last."""

    def fetchall(self) -> list[Any]:
        """All rows."""

    def __iter__(self) -> Iterator[Any]: ...

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""


Statement = tuple[str, Sequence[Any]]
"""A statement with its values."""


class SharedTables(Protocol):
    """Open tables. Threads that share them take turns."""

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Rows:
        """Run one statement.

        Raises:
            SqlError: it failed.
        """

    def enter(self, *statements: Statement) -> int:
        """Run statements as a transaction, or within one that is under way; returns the rows that the last changed.

        Raises:
            SqlError: one failed, and nothing was changed.
        """

    def transaction(self) -> Any:
        """A context in which everything happens or nothing, while no other process changes anything.

        Raises:
            SqlError: it could not be begun or completed.
        """

    @property
    def in_transaction(self) -> bool:
        """Whether one is under way."""

    def close(self) -> None:
        """Close them."""


@dataclass(frozen=True)
class StateFile:
    """Tables in the SQLite file ``path``."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    remedy = "make room"
    """What helps where they could not be written."""

    @property
    def locks(self) -> Locks:
        """Locks beside the tables; the name of each follows that of the file."""
        return FileLocks(self.path.parent)

    def lock_name(self, what: str) -> str:
        """The name of a lock that belongs to these tables."""
        return f"{self.path.name}.{what}"

    def open(self, schema: str, version: int) -> SharedTables:
        """The tables, which ``schema`` makes where they are not there.

        Raises:
            SqlError: they cannot be opened, or are of another version.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock"):
                connection = open_sqlite(self.path, wait_s=_LONGEST_WAIT_S, any_thread=True)
                ((found,),) = connection.execute("PRAGMA user_version")
                if found == 0:
                    connection.executescript(f"BEGIN; {schema} PRAGMA user_version = {version}; COMMIT;")
                elif found != version:
                    connection.close()
                    raise SqlError(_other_version(found, version))
        except (sqlite3.Error, OSError) as error:
            raise SqlError(str(error)) from error
        return _SqliteTables(connection)


@dataclass(frozen=True)
class StateSchema:
    """Tables in the schema ``name`` of a database."""

    database: Database
    name: str

    def __str__(self) -> str:
        return f"{self.database.url}, schema {self.name}"

    remedy = "see to the database"
    """What helps where they could not be written."""

    def exists(self) -> bool:
        """As of a file: what is not there yet is made when it is asked."""
        return True

    @property
    def locks(self) -> Locks:
        """Locks in the same database."""
        return DatabaseLocks(self.database)

    def lock_name(self, what: str) -> str:
        """The name of a lock that belongs to these tables."""
        return f"{self.name}.{what}"

    def open(self, schema: str, version: int) -> SharedTables:
        """The tables, which ``schema`` makes where they are not there.

        Raises:
            SqlError: they cannot be made, or are of another version.
            DatabaseError: the database cannot be used.
        """
        tables = _PostgresTables(self.database, self.name)
        try:
            with tables.transaction():
                tables.execute("CREATE TABLE IF NOT EXISTS state_version (version INTEGER NOT NULL)")
                found = tables.execute("SELECT version FROM state_version").fetchone()
                if found is None:
                    tables.execute(schema)
                    tables.execute("INSERT INTO state_version VALUES (?)", (version,))
                elif found[0] != version:
                    raise SqlError(_other_version(found[0], version))
        except BaseException:
            tables.close()
            raise
        return tables


StatePlace = Path | StateSchema
"""Where tables of state are: a SQLite file, or a schema in a database."""


def state_of(place: StatePlace) -> StateFile | StateSchema:
    """The tables at a place, not opened yet."""
    return StateFile(place) if isinstance(place, Path) else place


def _other_version(found: int, version: int) -> str:
    return f"it is of version {found}, this program writes version {version}"


class _SqliteTables:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Rows:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise SqlError(str(error)) from error

    def enter(self, *statements: Statement) -> int:
        if not self.in_transaction:
            with self.transaction():
                return self.enter(*statements)
        return [self.execute(*statement).rowcount for statement in statements][-1]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            # Some failures, such as a full disk, have rolled back already.
            if self._connection.in_transaction:
                self.execute("ROLLBACK")
            raise

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def close(self) -> None:
        self._connection.close()


class _PostgresTables:
    def __init__(self, database: Database, schema: str) -> None:
        self._database, self._schema = database, schema
        self._connection = self._connected()

    def execute(self, statement: str, values: Sequence[Any] = (), *, repeatable: bool = True) -> Any:
        import psycopg

        # Text of PostgreSQL holds every character but this one.
        kept = [value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in values]
        written = statement.replace("?", "%s")
        for is_last in (False, True):
            try:
                return self._connection.execute(written, kept)
            except psycopg.OperationalError as error:
                # Outside of a transaction nothing was changed, so a server that was away can be asked again.
                if is_last or not repeatable or self._in_transaction or not self._connection.closed:
                    raise SqlError(_line(error)) from error
                self._reconnect()
            except psycopg.Error as error:
                raise SqlError(_line(error)) from error
        raise AssertionError("unreachable")

    _in_transaction = False

    def enter(self, *statements: Statement) -> int:
        if self._in_transaction:
            within: list[int] = [self.execute(*statement).rowcount for statement in statements]
            return within[-1]
        # All in one message, so that nobody waits for the network while this has the lock.
        together = [self._begin, *statements, ("COMMIT", ())]
        text = "; ".join(statement for statement, _ in together)
        if select.select([self._connection.fileno()], [], [], 0)[0]:
            # The server has something to say although nothing was asked: it has closed the connection.
            self.execute("SELECT 1")
        try:
            # Not repeated if the answer is lost, because it may have been completed.
            results = self.execute(text, [value for _, values in together for value in values], repeatable=False)
        except SqlError:
            if not self._connection.closed:
                self.execute("ROLLBACK")
            raise
        changed: list[int] = [results.rowcount]
        while results.nextset():
            changed.append(results.rowcount)
        return changed[-2]

    @property
    def _begin(self) -> Statement:
        # One after the other, as SQLite does it: what was read stays true until the end.
        return "BEGIN; SELECT pg_advisory_xact_lock(?)", (lock_key(f"{self._schema}.transaction"),)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.execute(*self._begin)
        self._in_transaction = True
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if not self._connection.closed:
                self.execute("ROLLBACK")
            raise
        finally:
            self._in_transaction = False

    @property
    def in_transaction(self) -> bool:
        return self._in_transaction

    def close(self) -> None:
        self._connection.close()

    def _connected(self) -> Any:
        connection = self._database.connect()
        import psycopg

        try:
            with connection.transaction():
                # CREATE SCHEMA IF NOT EXISTS fails where two do it at once.
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock_key(f"{self._schema}.schema"),))
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")
            connection.execute(f"SET search_path TO {self._schema}")
        except psycopg.Error as error:
            connection.close()
            raise SqlError(_line(error)) from error
        return connection

    def _reconnect(self) -> None:
        until = time.monotonic() + _RECONNECT_S
        while True:
            try:
                self._connection = self._connected()
                return
            except DatabaseError as error:
                if time.monotonic() > until:
                    raise SqlError(str(error)) from error
                time.sleep(1)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
