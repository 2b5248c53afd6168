"""Lookup keys on disk in sorted runs, which are merged as they grow.

This is a log-structured merge tree (O'Neil et al., 1996). A B-tree would rewrite nearly all of its pages for each
batch of random keys. Here a batch becomes one more run, which is rewritten only when it is merged with others of
similar size. Runs are stored in blocks, and the first key of each block tells which blocks to read.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (number INTEGER PRIMARY KEY, size INTEGER NOT NULL, firsts BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS blocks (
    run INTEGER, number INTEGER, keys BLOB NOT NULL, owners BLOB NOT NULL, PRIMARY KEY (run, number)
) WITHOUT ROWID;
"""

_KEY, _OWNER = np.dtype("<i8"), np.dtype("<u4")
_BLOCK = 4096
"""Keys per block (48 kB). With smaller blocks, fetching thousands of them takes longer than reading on."""
_LARGEST = 1 << 26
"""Maximum number of keys per run. Merging holds them in memory: 0.8 GB."""

Numbers = NDArray[Any]


class KeyRuns:
    """The tables of :data:`SCHEMA` in an open SQLite file, which map 64-bit keys to owners.

    Keys of deleted owners stay in their runs until these are merged.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def add(self, keys: Numbers, owners: Numbers, alive: Sequence[tuple[int, int]]) -> None:
        """Add a run, within the caller's transaction.

        Args:
            keys: 64-bit integers.
            owners: owner of each key, below 2^32.
            alive: half-open ranges of existing owners, sorted. Keys of other owners are dropped when runs are merged.
        """
        if not len(keys):
            return
        merged = [(keys.astype(_KEY), owners.astype(_OWNER))]
        size = len(keys)
        query = "SELECT number, size FROM runs ORDER BY size, number"
        for number, other_size in self._connection.execute(query).fetchall():
            # Each run is at least twice as large as the next smaller one: there are few, and keys are rarely rewritten.
            if other_size >= 2 * size or size + other_size > _LARGEST:
                break
            merged.append(_alive(*self._all_of(number), alive))
            self._connection.execute("DELETE FROM runs WHERE number = ?", (number,))
            self._connection.execute("DELETE FROM blocks WHERE run = ?", (number,))
            size += len(merged[-1][0])
        all_keys, all_owners = (np.concatenate(parts) for parts in zip(*merged, strict=True))
        # A stable sort merges presorted input efficiently.
        order = np.argsort(all_keys, kind="stable")
        self._write(all_keys[order], all_owners[order])

    def owners(self, wanted: Numbers) -> Numbers:
        """The distinct owners of the ``wanted`` keys, sorted."""
        # Sorted keys are looked up in neighbouring blocks.
        wanted = np.sort(wanted)
        found = [np.empty(0, _OWNER)]
        for number, firsts in self._connection.execute("SELECT number, firsts FROM runs").fetchall():
            keys, owners = self._blocks(number, _blocks_with(wanted, np.frombuffer(firsts, _KEY)))
            if not len(keys):
                continue
            first = np.searchsorted(keys, wanted)
            hit = np.flatnonzero(keys[np.minimum(first, len(keys) - 1)] == wanted)
            first, last = first[hit], np.searchsorted(keys, wanted[hit], side="right")
            counts = last - first
            at = np.arange(counts.sum()) + np.repeat(first - (np.cumsum(counts) - counts), counts)
            found.append(owners[at])
        return np.unique(np.concatenate(found))

    def _write(self, keys: Numbers, owners: Numbers) -> None:
        row = len(keys), keys[::_BLOCK].tobytes()
        number = self._connection.execute("INSERT INTO runs (size, firsts) VALUES (?, ?)", row).lastrowid
        blocks = (
            (number, at, keys[start : start + _BLOCK].tobytes(), owners[start : start + _BLOCK].tobytes())
            for at, start in enumerate(range(0, len(keys), _BLOCK))
        )
        self._connection.executemany("INSERT INTO blocks VALUES (?, ?, ?, ?)", blocks)

    def _all_of(self, run: int) -> tuple[Numbers, Numbers]:
        query = "SELECT keys, owners FROM blocks WHERE run = ? ORDER BY number"
        return _joined(self._connection.execute(query, (run,)).fetchall())

    def _blocks(self, run: int, numbers: Numbers) -> tuple[Numbers, Numbers]:
        query = """
            SELECT keys, owners FROM blocks WHERE run = ? AND number IN (SELECT value FROM json_each(?)) ORDER BY number
        """
        return _joined(self._connection.execute(query, (run, json.dumps(numbers.tolist()))).fetchall())


def _blocks_with(wanted: Numbers, firsts: Numbers) -> Numbers:
    """Numbers of the blocks that may hold one of the ``wanted`` keys, by their first keys; both arrays are sorted."""
    # Keys equal to a block's first key may begin in the block before it.
    first = np.maximum(np.searchsorted(firsts, wanted, side="left") - 1, 0)
    last = np.searchsorted(firsts, wanted, side="right") - 1
    first, last = first[last >= 0], last[last >= 0]
    opened = np.bincount(first, minlength=len(firsts) + 1) - np.bincount(last + 1, minlength=len(firsts) + 1)
    return np.flatnonzero(np.cumsum(opened) > 0)


def _joined(blocks: Sequence[tuple[bytes, bytes]]) -> tuple[Numbers, Numbers]:
    return (
        np.frombuffer(b"".join(keys for keys, _ in blocks), _KEY),
        np.frombuffer(b"".join(owners for _, owners in blocks), _OWNER),
    )


def _alive(keys: Numbers, owners: Numbers, alive: Sequence[tuple[int, int]]) -> tuple[Numbers, Numbers]:
    first, beyond = np.array(alive).T
    stretch = np.searchsorted(first, owners, side="right") - 1
    here = (stretch >= 0) & (owners < beyond[stretch])
    return keys[here], owners[here]
