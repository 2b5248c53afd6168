"""Lookup keys on disk, to which many are added at once: sorted runs that are merged as they grow.

A log-structured merge tree (O'Neil et al., 1996). A B-tree writes nearly every page of itself for each batch of random
keys; here a batch is one more run, and a run is written again only when it is merged with others of about its size.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCHEMA = "CREATE TABLE IF NOT EXISTS runs (number INTEGER PRIMARY KEY, size INTEGER, keys BLOB, owners BLOB);"

_KEY, _OWNER = np.dtype("<i8"), np.dtype("<u4")
_LARGEST = 1 << 26
"""Keys a run at most: SQLite's values end at 10^9 bytes."""

Numbers = NDArray[Any]


class KeyRuns:
    """The table ``runs`` of an open SQLite file: which owners have which 64-bit keys.

    Owners that are gone are left in their runs until these are merged; who looks them up does not find them.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, keys: Numbers, owners: Numbers, alive: Sequence[tuple[int, int]]) -> None:
        """Add a run, within the caller's transaction.

        Args:
            keys: 64-bit integers.
            owners: of each key, below 2^32.
            alive: first and beyond the last of every stretch of owners that there are, in order; keys of others are
                dropped where runs are merged.
        """
        if not len(keys):
            return
        merged = [(keys.astype(_KEY), owners.astype(_OWNER))]
        size = len(keys)
        query = "SELECT number, size FROM runs ORDER BY size, number"
        for number, other_size in self._connection.execute(query).fetchall():
            # Runs at least double from one to the next, so that there are few and a key is seldom written again.
            if other_size >= 2 * size or size + other_size > _LARGEST:
                break
            merged.append(_alive(*self._run(number), alive))
            self._connection.execute("DELETE FROM runs WHERE number = ?", (number,))
            size += len(merged[-1][0])
        all_keys, all_owners = (np.concatenate(parts) for parts in zip(*merged, strict=True))
        # A stable sort merges what is sorted already.
        order = np.argsort(all_keys, kind="stable")
        row = size, all_keys[order].tobytes(), all_owners[order].tobytes()
        self._connection.execute("INSERT INTO runs (size, keys, owners) VALUES (?, ?, ?)", row)

    def owners(self, wanted: Numbers) -> Numbers:
        """The owners of one or more of the ``wanted`` keys, each once, sorted."""
        # In order, neighbours in a run are looked up one after the other.
        wanted = np.sort(wanted)
        found = [np.empty(0, _OWNER)]
        for (number,) in self._connection.execute("SELECT number FROM runs").fetchall():
            keys, owners = self._run(number)
            first = np.searchsorted(keys, wanted)
            hit = np.flatnonzero(keys[np.minimum(first, len(keys) - 1)] == wanted)
            first, last = first[hit], np.searchsorted(keys, wanted[hit], side="right")
            counts = last - first
            at = np.arange(counts.sum()) + np.repeat(first - (np.cumsum(counts) - counts), counts)
            found.append(owners[at])
        return np.unique(np.concatenate(found))

    def _run(self, number: int) -> tuple[Numbers, Numbers]:
        query = "SELECT keys, owners FROM runs WHERE number = ?"
        keys, owners = self._connection.execute(query, (number,)).fetchone()
        return np.frombuffer(keys, _KEY), np.frombuffer(owners, _OWNER)


def _alive(keys: Numbers, owners: Numbers, alive: Sequence[tuple[int, int]]) -> tuple[Numbers, Numbers]:
    first, beyond = np.array(alive).T
    stretch = np.searchsorted(first, owners, side="right") - 1
    here = (stretch >= 0) & (owners < beyond[stretch])
    return keys[here], owners[here]
