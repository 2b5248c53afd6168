"""On-disk cache of embeddings, so that each text and image is encoded once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from stablellava_assets.filters.near_duplicates.near_vectors import Vector
from stablellava_assets.tables.sqlite import open_sqlite

ItemT = TypeVar("ItemT")
_AT_ONCE = 256
_WAIT = 600.0
_SCHEMA = "CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, vector BLOB) WITHOUT ROWID"


class VectorCache(Generic[ItemT]):
    """Embeddings of one model by the content hash of the input. The file can be deleted at any time.

    Args:
        path: the SQLite file, created on first use.
        encode: computes vectors, shape (items, width).
    """

    def __init__(self, path: Path, encode: Callable[[Sequence[ItemT]], NDArray[np.float32]]) -> None:
        self._path = path
        self._encode = encode

    def vectors(
        self, keys: Iterable[str], read: Callable[[list[str]], Iterable[tuple[str, ItemT]]]
    ) -> dict[str, Vector]:
        """One vector per key. Missing ones are encoded and stored in batches of a few hundred.

        Args:
            keys: content hashes.
            read: yields the items of missing keys; keys that it omits get no vector.
        """
        wanted = list(dict.fromkeys(keys))
        if not wanted:
            return {}
        with closing(open_sqlite(self._path, _SCHEMA, wait_s=_WAIT)) as connection:
            known = _known(connection, wanted)
            if missing := [key for key in wanted if key not in known]:
                items = iter(read(missing))
                while some := dict(islice(items, _AT_ONCE)):
                    known |= self._make(connection, some)
        return known

    def _make(self, connection: sqlite3.Connection, items: Mapping[str, ItemT]) -> dict[str, Vector]:
        made = dict(zip(items, self._encode(list(items.values())), strict=True))
        connection.execute("BEGIN IMMEDIATE")
        rows = [(key, vector.tobytes()) for key, vector in made.items()]
        connection.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
        connection.execute("COMMIT")
        return made


def _known(connection: sqlite3.Connection, keys: Iterable[str]) -> dict[str, Vector]:
    found = {}
    for key in keys:
        row = connection.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        if row is not None:
            found[key] = np.frombuffer(row[0], np.float32)
    return found
