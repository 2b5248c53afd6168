"""Checkpoints have a partition each; what earlier versions kept in one file is read, and divided once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from stablellava_assets.tables.checkpoints import checkpoint_ids, checkpoints, current_from_now, divide_earlier
from stablellava_assets.tables.schemas import LLAVA_CHECKPOINT
from stablellava_assets.tables.score_rows import Checkpoint
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.warehouse import Warehouse
from stablellava_assets_tests.planning.known import row

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def with_earlier(folder: Path) -> ParquetStore:
    """A store of an earlier version, whose second checkpoint is older than its first but the current one."""
    store = ParquetStore(str(folder / "tables"))
    rows = [
        row(LLAVA_CHECKPOINT, checkpoint_id="b", created_at=NOW, current_since=None),
        row(LLAVA_CHECKPOINT, checkpoint_id="a", created_at=NOW - timedelta(days=1), current_since=None),
    ]
    store.publish(LLAVA_CHECKPOINT, (), LLAVA_CHECKPOINT.from_rows(rows))
    return store


def publish(store: ParquetStore, checkpoint_id: str, since: datetime) -> None:
    made = row(LLAVA_CHECKPOINT, checkpoint_id=checkpoint_id, created_at=NOW, current_since=since)
    store.publish(LLAVA_CHECKPOINT, (checkpoint_id,), LLAVA_CHECKPOINT.from_rows([made]))


def test_the_file_of_earlier_versions_comes_before_what_was_made_since(tmp_path: Path) -> None:
    store = with_earlier(tmp_path)
    assert checkpoint_ids(store) == ["b", "a"]
    publish(store, "c", NOW + timedelta(days=2))
    publish(store, "0", NOW + timedelta(days=1))
    assert checkpoint_ids(store) == ["b", "a", "0", "c"]
    publish(store, "b", NOW + timedelta(days=3))
    assert checkpoint_ids(store) == ["a", "0", "c", "b"], "one that becomes current again is the last"


def test_it_is_divided_once_and_keeps_its_order(tmp_path: Path) -> None:
    store = with_earlier(tmp_path)
    warehouse = Warehouse(tmp_path / "warehouse.duckdb", store)
    warehouse.sync()
    publish(store, "c", NOW + timedelta(days=2))
    warehouse.sync()
    for _ in range(2):
        divide_earlier(store)
        assert store.partitions(LLAVA_CHECKPOINT) == [("a",), ("b",), ("c",)]
        assert checkpoint_ids(store) == ["b", "a", "c"]
        warehouse.sync()
        found = warehouse.query("SELECT checkpoint_id FROM llava_checkpoint ORDER BY current_since").to_pylist()
        assert [each["checkpoint_id"] for each in found] == ["b", "a", "c"]


def test_dividing_that_was_interrupted_is_completed(tmp_path: Path) -> None:
    store = with_earlier(tmp_path)
    earlier = store.read(LLAVA_CHECKPOINT, ())
    assert earlier is not None
    divide_earlier(store)
    store.publish(LLAVA_CHECKPOINT, (), earlier)
    assert checkpoint_ids(store) == ["b", "a"]
    divide_earlier(store)
    assert store.partitions(LLAVA_CHECKPOINT) == [("a",), ("b",)]


def test_a_clock_that_is_behind_does_not_keep_a_checkpoint_from_becoming_the_current_one(tmp_path: Path) -> None:
    store = ParquetStore(str(tmp_path / "tables"))
    publish(store, "of-tomorrow", datetime.now(UTC) + timedelta(days=1))
    publish(store, "newer", current_from_now(checkpoints(store, Checkpoint)))
    assert checkpoint_ids(store) == ["of-tomorrow", "newer"]
