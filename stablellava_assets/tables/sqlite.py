"""SQLite files for concurrent processes that may be killed at any time."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path


def open_sqlite(
    path: Path,
    schema: str = "",
    *,
    wait_s: float = 5.0,
    any_thread: bool = False,
    pragmas: Mapping[str, int] | None = None,
) -> sqlite3.Connection:
    """Open a file (created if needed, with its folder) with a write-ahead log, which rolls back
    incomplete writes on the next opening.

    Args:
        path: the file.
        schema: statements that create missing tables.
        wait_s: how long to wait for another writer, in seconds.
        any_thread: whether threads share the connection; they must use a lock.
        pragmas: further settings, applied before the write-ahead log is enabled, as ``page_size`` requires.

    Raises:
        sqlite3.Error: it is not a SQLite file, or another process kept it locked.
        OSError: the folder cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=not any_thread)
    try:
        for name, value in {**(pragmas or {}), "journal_mode": "WAL", "synchronous": "NORMAL"}.items():
            connection.execute(f"PRAGMA {name}={value}")
        connection.executescript(schema)
    except BaseException:
        connection.close()
        raise
    return connection
