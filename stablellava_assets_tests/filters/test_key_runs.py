"""Sorted runs of keys against a dictionary."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise

import numpy as np
import pytest

from stablellava_assets.filters.near_duplicates.key_runs import SCHEMA, KeyRuns

EVERY_OWNER = [(0, 2**32)]


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as opened:
        opened.executescript(SCHEMA)
        yield opened


def sizes(connection: sqlite3.Connection) -> list[int]:
    return [size for (size,) in connection.execute("SELECT size FROM runs ORDER BY size DESC")]


def test_the_owners_found_are_those_of_a_dictionary_however_runs_merge(connection: sqlite3.Connection) -> None:
    random = np.random.default_rng(1)
    runs = KeyRuns(connection)
    expected: dict[int, set[int]] = {}
    for batch in range(40):
        # Few keys, so that owners share them; negative ones, as hashes are; and the ends of 64 bits.
        keys = np.append(random.integers(-300, 300, random.integers(0, 60)), [-(2**63), 2**63 - 1])
        owners = batch * 100 + random.integers(0, 100, len(keys))
        runs.add(keys, owners, EVERY_OWNER)
        for key, owner in zip(keys.tolist(), owners.tolist(), strict=True):
            expected.setdefault(key, set()).add(owner)
        wanted = np.append(random.integers(-400, 400, 30), 2**63 - 1)
        found = runs.owners(wanted).tolist()
        assert found == sorted(set().union(*(expected.get(key, set()) for key in wanted.tolist())))


def test_a_key_of_more_owners_than_a_block_holds_has_all_of_them(connection: sqlite3.Connection) -> None:
    runs = KeyRuns(connection)
    keys = np.repeat([-5, 0, 7, 9], [100, 10_000, 3, 9_000])
    runs.add(keys, np.arange(len(keys)), EVERY_OWNER)
    assert runs.owners(np.array([0])).tolist() == list(range(100, 10_100))
    assert runs.owners(np.array([-6, 7, 10])).tolist() == [10_100, 10_101, 10_102]
    assert runs.owners(np.array([9])).tolist() == list(range(10_103, 19_103))


def test_only_the_blocks_that_may_hold_a_key_are_read(connection: sqlite3.Connection) -> None:
    runs = KeyRuns(connection)
    runs.add(np.arange(1_000_000), np.arange(1_000_000), EVERY_OWNER)
    (blocks,) = connection.execute("SELECT count(*) FROM blocks").fetchone()
    assert blocks > 200
    # What is unreadable now would be an error if it were read.
    damage = (
        "UPDATE blocks SET keys = x'00' WHERE number NOT IN (SELECT number FROM blocks ORDER BY number LIMIT 1 "
        "OFFSET ?)"
    )
    connection.execute(damage, (blocks // 2,))
    assert runs.owners(np.array([500_500])).tolist() == [500_500]
    with pytest.raises(ValueError, match="buffer size"):
        runs.owners(np.array([500_500, 3]))


def test_there_are_few_runs_each_at_least_twice_the_next(connection: sqlite3.Connection) -> None:
    runs = KeyRuns(connection)
    for batch in range(100):
        runs.add(np.arange(10), np.full(10, batch), EVERY_OWNER)
    kept = sizes(connection)
    assert sum(kept) == 1000
    assert all(larger >= 2 * smaller for larger, smaller in pairwise(kept))


def test_keys_of_owners_that_are_gone_leave_when_runs_merge(connection: sqlite3.Connection) -> None:
    runs = KeyRuns(connection)
    runs.add(np.arange(10), np.full(10, 3), [(3, 4)])
    runs.add(np.arange(10), np.full(10, 8), [(8, 9)])
    assert sizes(connection) == [10]
    assert runs.owners(np.arange(10)).tolist() == [8]


def test_nothing_added_is_no_run_and_nothing_is_found_in_none(connection: sqlite3.Connection) -> None:
    runs = KeyRuns(connection)
    runs.add(np.empty(0, np.int64), np.empty(0, np.int64), [])
    assert sizes(connection) == []
    assert runs.owners(np.arange(3)).tolist() == []
