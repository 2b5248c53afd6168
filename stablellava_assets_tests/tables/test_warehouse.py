"""The DuckDB warehouse, kept in step with a real Parquet store."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from filelock import FileLock

from stablellava_assets.tables.schemas import IMAGES, LLAVA_CHECKPOINT, PROMPT_SPECS
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.warehouse import QueryError, Warehouse, WarehouseError
from stablellava_assets_tests.painters.specs import painted
from stablellava_assets_tests.painters.specs import spec as painted_spec
from stablellava_assets_tests.tables.made_up import but
from stablellava_assets_tests.tables.rows_of import spec


def specs(ability: str, count: int) -> pa.Table:
    return PROMPT_SPECS.from_rows([but(spec(index, ability=ability), run_id="run") for index in range(count)])


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


@contextmanager
def held(path: Path, mode: str) -> Iterator[int]:
    """Another program that has the file open."""
    code = (
        f"import duckdb, sys; held = duckdb.connect(sys.argv[1], read_only={mode == 'reading'}); print(flush=True); "
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        yield other.pid
        other.communicate()


@pytest.mark.parametrize("mode", ["reading", "writing"])
def test_somebody_who_has_it_open_is_named_and_what_is_missed_is_made_good(mode: str, tmp_path: Path) -> None:
    store, warehouse = opened(tmp_path)
    warehouse.sync()
    with held(tmp_path / "warehouse.duckdb", mode) as process:
        store.publish(PROMPT_SPECS, ("animal", "0001"), specs("animal", 3))
        with pytest.raises(WarehouseError, match=rf"is open elsewhere, in .*\(PID {process}\)"):
            warehouse.sync([PROMPT_SPECS])
        if mode == "reading":
            assert warehouse.query("SELECT 1 AS n").to_pylist() == [{"n": 1}]
        else:
            with pytest.raises(WarehouseError, match="is open elsewhere"):
                warehouse.query("SELECT 1")
    store.publish(LLAVA_CHECKPOINT, (), LLAVA_CHECKPOINT.schema.empty_table())
    assert warehouse.sync([LLAVA_CHECKPOINT]) == {"llava_checkpoint": 1}
    assert counts(warehouse) == {"animal": 3}, "the next stage copies what an earlier one could not"
    assert not (tmp_path / "warehouse.duckdb.behind").exists()


@pytest.mark.parametrize("content", [b"no database", os.urandom(5000)])
def test_a_damaged_file_names_what_mends_it(content: bytes, tmp_path: Path) -> None:
    store, warehouse = opened(tmp_path)
    store.publish(PROMPT_SPECS, ("animal", "0001"), specs("animal", 3))
    (tmp_path / "warehouse.duckdb").write_bytes(content)
    for use in (warehouse.sync, lambda: warehouse.query("SELECT 1")):
        with pytest.raises(WarehouseError, match=r"is damaged .*`stablellava rebuild-warehouse`"):
            use()
    warehouse.rebuild()
    assert counts(warehouse) == {"animal": 3}


def test_queries_only_read_and_say_what_is_wrong_with_them(tmp_path: Path) -> None:
    _, warehouse = opened(tmp_path)
    with pytest.raises(WarehouseError, match="there is no warehouse yet"):
        warehouse.query("SELECT 1")
    assert list(tmp_path.iterdir()) == []
    warehouse.sync()
    before = (tmp_path / "warehouse.duckdb").read_bytes()
    for sql, told in (
        ("/* nothing */", "there is no query in it"),
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM nothing", "nothing does not exist"),
        ("CREATE TABLE x (a INT)", "read-only"),
    ):
        with pytest.raises(QueryError, match=told):
            warehouse.query(sql)
    assert (tmp_path / "warehouse.duckdb").read_bytes() == before


def test_a_folder_that_may_only_be_read_is_queried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, warehouse = opened(tmp_path)
    store.publish(PROMPT_SPECS, ("animal", "0001"), specs("animal", 3))
    warehouse.sync()

    def refuse(lock: FileLock, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), lock.lock_file)

    monkeypatch.setattr(FileLock, "acquire", refuse)
    assert counts(warehouse) == {"animal": 3}
    with pytest.raises(
        WarehouseError, match=r"cannot be opened \(.*warehouse\.duckdb\.lock: Permission denied\); see to its perm"
    ):
        warehouse.sync()


@pytest.mark.parametrize("name", ["stable [copy]", "it's {a,b}*"])
def test_pictures_of_folders_of_every_name_are_shown(name: str, tmp_path: Path) -> None:
    store, warehouse = opened(tmp_path / name)
    row = next(iter(painted(painted_spec("((elephant))"))))
    path = Path(store.publish(IMAGES, ("animal", "0001"), IMAGES.from_rows([but(row, run_id="run")])))
    shutil.copytree(path.parent, path.parent.with_name("batch=0001 (1)"))
    shutil.copy(path, path.with_name("part-0 (1).parquet"))
    warehouse.sync()
    assert warehouse.query("SELECT count(image) AS n FROM images_pictures").to_pylist() == [{"n": 1}]


def test_pictures_of_remote_tables_are_shown(tmp_path: Path) -> None:
    store = ParquetStore("memory://pictures/tables [1]")
    warehouse = Warehouse(tmp_path / "warehouse.duckdb", store)
    (row,) = painted(painted_spec("((elephant))"))
    store.publish(IMAGES, ("animal", "0001"), IMAGES.from_rows([but(row, run_id="run")]))
    assert warehouse.sync([IMAGES]) == {"images": 1}
    (shown,) = warehouse.query("SELECT image_id, octet_length(image.bytes) AS bytes FROM images_pictures").to_pylist()
    assert row["image"] is not None
    assert shown == {"image_id": row["image_id"], "bytes": len(row["image"]["bytes"])}


@pytest.mark.parametrize("root", ["{folder}/tables", "memory://two machines/tables"])
def test_two_machines_with_one_store_give_the_same_answers(root: str, tmp_path: Path) -> None:
    store = ParquetStore(root.format(folder=tmp_path))
    one, other = (Warehouse(tmp_path / name / "warehouse.duckdb", store) for name in ("one", "other"))
    store.publish(PROMPT_SPECS, ("animal", "0001"), specs("animal", 3))
    one.sync([PROMPT_SPECS])
    other.catch_up()
    assert counts(one) == counts(other) == {"animal": 3}
    store.publish(PROMPT_SPECS, ("animal", "0001"), specs("animal", 5))
    store.publish(PROMPT_SPECS, ("food", "0001"), specs("food", 2))
    other.sync([PROMPT_SPECS])
    one.catch_up()
    assert counts(one) == counts(other) == {"animal": 5, "food": 2}


def test_a_warehouse_that_lacks_nothing_is_only_read(tmp_path: Path) -> None:
    store, warehouse = opened(tmp_path)
    warehouse.catch_up()
    assert not warehouse.path.exists()
    store.publish(PROMPT_SPECS, ("animal", "0001"), specs("animal", 3))
    warehouse.catch_up()
    before = warehouse.path.stat().st_mtime_ns
    warehouse.catch_up()
    assert warehouse.path.stat().st_mtime_ns == before
    assert counts(warehouse) == {"animal": 3}
