"""Locks by name: among the processes of one machine by files, among machines by a database."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from filelock import FileLock

from stablellava_assets.state.database import Database, DatabaseError

_LOOK_S = 0.25
_NAMESPACE = "stablellava"


class Lease(Protocol):
    """A lock that is held."""

    def confirm(self) -> None:
        """See that it is held still.

        Raises:
            DatabaseError: it was lost, and somebody else may hold it.
        """


class Locks(Protocol):
    """Locks by name. One that is held is free again when its process or its machine dies."""

    def hold(self, name: str, waiting: Callable[[str], None] | None = None) -> AbstractContextManager[Lease]:
        """Hold a lock as long as the context lasts, after whoever holds it now.

        Args:
            name: the same for all who must take turns, as in ``images/animal-0001``.
            waiting: is told once who holds it, where that is known.

        Raises:
            DatabaseError: the database of the locks cannot be used.
        """


class FileLocks:
    """Lock files in ``folder``, for the processes of one machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def hold(self, name: str, waiting: Callable[[str], None] | None = None) -> Iterator[Lease]:
        """See :class:`Locks`."""
        path = self._folder / f"{name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path):
            yield _FileLease()


class _FileLease:
    def confirm(self) -> None:
        """A process that runs holds its files."""


class DatabaseLocks:
    """Advisory locks of PostgreSQL, for any number of machines.

    Each lives in a connection of its own, so that the server frees it when the process dies, and about a minute after
    the machine does.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def hold(self, name: str, waiting: Callable[[str], None] | None = None) -> Iterator[Lease]:
        """See :class:`Locks`."""
        key = lock_key(name)
        lease = _DatabaseLease(self._database, name, key)
        try:
            lease.acquire(waiting)
            yield lease
        finally:
            lease.close()


class _DatabaseLease:
    def __init__(self, database: Database, name: str, key: int) -> None:
        self._database, self._name, self._key = database, name, key
        self._connection = database.connect()

    def acquire(self, waiting: Callable[[str], None] | None) -> None:
        """Wait for the lock. Not inside the server, so that the process can be interrupted."""
        while not self._ask("SELECT pg_try_advisory_lock(%s)"):
            if waiting is not None:
                waiting(f"waits for {self._name}, which {self._holder()} holds")
                waiting = None
            time.sleep(_LOOK_S)

    def confirm(self) -> None:
        """See :class:`Lease`. A connection that answers is the one that holds the lock."""
        self._ask("SELECT %s")

    def close(self) -> None:
        self._connection.close()

    def _holder(self) -> str:
        # PostgreSQL shows the two halves of a key as unsigned numbers.
        holder = self._ask(
            "SELECT max(application_name) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE granted AND "
            "locktype = 'advisory' AND objsubid = 1 AND (classid::bigint << 32 | objid::bigint) = %s"
        )
        return str(holder or "another process")

    def _ask(self, question: str) -> object:
        import psycopg

        try:
            row = self._connection.execute(question, (self._key,)).fetchone()
        except psycopg.Error as error:
            raise DatabaseError(
                f"storage.state: the connection to {self._database.url} was lost, and with it {self._name}, which "
                "somebody else may make meanwhile; run again, finished rows are kept"
            ) from error
        return row[0] if row else None


def lock_key(name: str) -> int:
    """The number of a lock: 63 bits of the hash of its name."""
    return int.from_bytes(hashlib.sha256(f"{_NAMESPACE}/{name}".encode()).digest()[:8]) >> 1
