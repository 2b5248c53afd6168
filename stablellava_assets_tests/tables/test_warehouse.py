"""The DuckDB warehouse, kept in step with a real Parquet store."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import duckdb
import pyarrow as pa

from stablellava_assets.tables.schemas import LLAVA_CHECKPOINT, PROMPT_SPECS
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.warehouse import Warehouse
from stablellava_assets_tests.tables.rows_of import spec


def specs(ability: str, count: int) -> pa.Table:
    return PROMPT_SPECS.from_rows([{**spec(index, ability=ability), "run_id": "run"} for index in range(count)])


def opened(folder: Path) -> tuple[ParquetStore, Warehouse]:
    store = ParquetStore(str(folder / "tables"))
    return store, Warehouse(folder / "warehouse.duckdb", store)


def counts(warehouse: Warehouse) -> dict[str, int]:
    rows = warehouse.query("SELECT ability, count(*) AS n FROM prompt_specs GROUP BY ability").to_pylist()
    return {row["ability"]: row["n"] for row in rows}


def test_a_table_of_another_version_is_made_anew(tmp_path: Path) -> None:
    store, warehouse = opened(tmp_path)
    store.publish(PROMPT_SPECS, ("animal", "0001"), specs("animal", 3))
    warehouse.sync([PROMPT_SPECS])
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("ALTER TABLE prompt_specs DROP COLUMN seed")
    assert warehouse.sync([PROMPT_SPECS]) == {"prompt_specs": 1}
    assert warehouse.query("SELECT count(seed) AS n FROM prompt_specs").to_pylist() == [{"n": 3}]


def test_only_changed_partitions_are_copied(tmp_path: Path) -> None:
    store, warehouse = opened(tmp_path)
    store.publish(PROMPT_SPECS, ("animal", "0001"), specs("animal", 3))
    store.publish(PROMPT_SPECS, ("food", "0001"), specs("food", 2))
    assert warehouse.sync([PROMPT_SPECS]) == {"prompt_specs": 2}
    assert warehouse.sync([PROMPT_SPECS]) == {"prompt_specs": 0}
    store.publish(PROMPT_SPECS, ("food", "0001"), specs("food", 4))
    assert warehouse.sync([PROMPT_SPECS]) == {"prompt_specs": 1}
    assert counts(warehouse) == {"animal": 3, "food": 4}


def test_partitions_gone_from_the_store_are_forgotten(tmp_path: Path) -> None:
    store, warehouse = opened(tmp_path)
    store.publish(PROMPT_SPECS, ("animal", "0001"), specs("animal", 3))
    warehouse.sync()
    Path(store.path(PROMPT_SPECS, ("animal", "0001"))).unlink()
    warehouse.sync()
    assert counts(warehouse) == {}


def test_a_table_without_partitions_is_kept_in_step(tmp_path: Path) -> None:
    store, warehouse = opened(tmp_path)
    for _ in range(2):
        store.publish(LLAVA_CHECKPOINT, (), LLAVA_CHECKPOINT.schema.empty_table())
        assert warehouse.sync([LLAVA_CHECKPOINT]) == {"llava_checkpoint": 1}
        assert warehouse.sync([LLAVA_CHECKPOINT]) == {"llava_checkpoint": 0}


def test_it_is_rebuilt_from_parquet(tmp_path: Path) -> None:
    store, warehouse = opened(tmp_path)
    store.publish(PROMPT_SPECS, ("animal", "0001"), specs("animal", 3))
    (tmp_path / "warehouse.duckdb").write_bytes(b"not a database")
    assert warehouse.rebuild()["prompt_specs"] == 1
    assert counts(warehouse) == {"animal": 3}


def publish_and_sync(folder: Path, ability: str) -> None:
    store, warehouse = opened(folder)
    for number in range(1, 6):
        store.publish(PROMPT_SPECS, (ability, f"{number:04d}"), specs(ability, 10))
        warehouse.sync([PROMPT_SPECS])


def test_four_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [
        spawn.Process(target=publish_and_sync, args=(tmp_path, ability))
        for ability in ("animal", "food", "hair", "plant")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert set(counts(opened(tmp_path)[1]).values()) == {50}
