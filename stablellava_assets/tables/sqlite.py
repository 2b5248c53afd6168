"""SQLite files that several processes read and write while runs are killed."""

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
    """Open a file, made with its folder if it is not there, with a write-ahead log: a torn write is rolled back on the next opening.

    Args:
        path: the file.
        schema: statements that make what is not there.
        wait_s: seconds to wait for another process that writes.
        any_thread: whether threads share the connection; they take turns by a lock of their own.
        pragmas: others, set before the log is begun, as ``page_size`` must be.

    Raises:
        sqlite3.Error: it is no SQLite file, or somebody writes it all the while.
        OSError: the folder cannot be made.
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
