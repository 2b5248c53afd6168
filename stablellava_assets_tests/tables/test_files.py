"""Files are whole, databases survive what damages them, and lines about progress keep their pace."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from stablellava_assets.tables.files import publish_file, whole_file
from stablellava_assets.tables.pace import Pace
from stablellava_assets.tables.sqlite import open_sqlite


def test_a_file_that_could_not_be_finished_leaves_the_old_one_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert publish_file(path, b"old")
    assert not publish_file(path, b"old")
    with pytest.raises(ZeroDivisionError), whole_file(path) as unfinished:
        _fail_halfway(unfinished)
    assert [each.name for each in tmp_path.iterdir()] == ["rows.jsonl"]
    assert path.read_bytes() == b"old"
    with whole_file(path) as unfinished:
        unfinished.write_bytes(b"new")
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"new"]


def test_a_database_is_made_with_its_folder_and_keeps_its_own_pragmas(tmp_path: Path) -> None:
    path = tmp_path / "new" / "index.sqlite"
    for _ in range(2):
        connection = open_sqlite(
            path, "CREATE TABLE IF NOT EXISTS kept (name TEXT)", pragmas={"page_size": 16384, "cache_size": -1024}
        )
        told = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "page_size", "cache_size")
        }
        assert told == {"journal_mode": "wal", "synchronous": 1, "page_size": 16384, "cache_size": -1024}
        connection.execute("INSERT INTO kept VALUES ('a')")
        connection.close()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        open_sqlite(path)


def test_a_pace_is_kept() -> None:
    assert not Pace(60).is_due()
    assert Pace(60).is_due(last=True)
    assert Pace(0).is_due()
    at_once = Pace(60, at_once=True)
    assert at_once.is_due()
    assert not at_once.is_due()


def _fail_halfway(path: Path) -> None:
    path.write_bytes(b"ne")
    raise ZeroDivisionError
