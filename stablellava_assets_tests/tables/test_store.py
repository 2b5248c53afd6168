"""The Parquet store, on a real disk."""

from __future__ import annotations

import errno
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileOpener

from stablellava_assets.tables.schemas import IMAGES, PROMPT_SPECS, TABLES
from stablellava_assets.tables.store import ParquetStore, StoreError
from stablellava_assets_tests.painters.specs import painted
from stablellava_assets_tests.painters.specs import spec as painted_spec
from stablellava_assets_tests.tables.made_up import but
from stablellava_assets_tests.tables.rows_of import spec

PARTITION = ("animal", "0001")


def specs(count: int, prompt: str = "((koala)), forest") -> pa.Table:
    return PROMPT_SPECS.from_rows([but(spec(index, prompt=prompt), run_id="run") for index in range(count)])


def test_what_is_published_is_read_back(tmp_path: Path) -> None:
    store = ParquetStore(str(tmp_path))
    path = store.publish(PROMPT_SPECS, PARTITION, specs(3))
    assert path.endswith("prompt_specs/ability=animal/batch=0001/part-0.parquet")
    read = store.read(PROMPT_SPECS, PARTITION)
    assert read is not None
    assert read.equals(specs(3))
    assert store.partitions(PROMPT_SPECS) == [PARTITION]
    assert store.read_all(PROMPT_SPECS, columns=["spec_id"]).column_names == ["spec_id"]


def test_only_the_thread_that_asks_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another still holds when the interpreter ends aborts the process, after all its work was done."""
    store = ParquetStore(str(tmp_path))
    store.publish(PROMPT_SPECS, PARTITION, specs(3))
    readers = set()

    def read(opened: LocalFileOpener, length: int = -1) -> bytes:
        readers.add(threading.get_ident())
        return bytes(opened.f.read(length))

    monkeypatch.setattr(LocalFileOpener, "read", read)
    store.read(PROMPT_SPECS, PARTITION)
    assert readers == {threading.get_ident()}


def test_a_partition_that_was_never_published_is_none(tmp_path: Path) -> None:
    assert ParquetStore(str(tmp_path)).read(PROMPT_SPECS, PARTITION) is None
    assert ParquetStore(str(tmp_path)).read_all(PROMPT_SPECS).num_rows == 0


def test_files_of_earlier_versions_lack_a_column_and_are_read(tmp_path: Path) -> None:
    store = ParquetStore(str(tmp_path))
    path = store.publish(IMAGES, PARTITION, IMAGES.schema.empty_table())
    (row,) = painted(painted_spec("((elephant))"))
    without = IMAGES.from_rows([but(row, run_id="run")]).drop_columns(["digital_source_type"])
    pq.write_table(without, path)
    read = store.read(IMAGES, PARTITION)
    assert read is not None
    assert read.column_names == IMAGES.schema.names
    assert read["digital_source_type"].to_pylist() == [None]
    assert read["sha256"].to_pylist() == [row["sha256"]]
    pq.write_table(without.drop_columns(["sha256"]), path)
    with pytest.raises(StoreError, match=r"lacks the columns \['sha256'\]"):
        store.read(IMAGES, PARTITION)


def test_every_column_says_what_it_means() -> None:
    for table in TABLES:
        for column in table.columns:
            assert len(table.description_of(column.name)) > 10


def test_rows_that_do_not_fit_are_refused_by_name() -> None:
    row = but(spec(0), run_id="run", colour="red")
    del row["seed"]
    with pytest.raises(ValueError, match=r"missing \['seed'\], unknown \['colour'\]"):
        PROMPT_SPECS.from_rows([row])


def test_readers_never_see_an_unfinished_file(tmp_path: Path) -> None:
    store = ParquetStore(str(tmp_path))
    store.publish(PROMPT_SPECS, PARTITION, specs(200))
    stop = threading.Event()

    def publish_again() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            store.publish(PROMPT_SPECS, PARTITION, specs(200, f"((koala)), version {number}"))

    writer = threading.Thread(target=publish_again)
    writer.start()
    try:
        for _ in range(100):
            read = ParquetStore(str(tmp_path)).read(PROMPT_SPECS, PARTITION)
            assert read is not None
            assert read.num_rows == 200
            assert len(set(read["prompt"].to_pylist())) == 1
    finally:
        stop.set()
        writer.join()
    assert [path.name for path in (tmp_path / "prompt_specs/ability=animal/batch=0001").iterdir()] == ["part-0.parquet"]


def test_a_truncated_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    store = ParquetStore(str(tmp_path))
    path = Path(store.publish(PROMPT_SPECS, PARTITION, specs(50)))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(
        StoreError, match=r"part-0\.parquet: damaged .* materialize prompt_specs for partition animal\|0001"
    ):
        store.read(PROMPT_SPECS, PARTITION)


def test_a_file_of_another_schema_is_named(tmp_path: Path) -> None:
    store = ParquetStore(str(tmp_path))
    path = Path(store.publish(PROMPT_SPECS, PARTITION, specs(2)))
    pq.write_table(pq.read_table(path).drop(["seed"]), path)
    with pytest.raises(StoreError, match=r"lacks the columns \['seed'\]"):
        store.read(PROMPT_SPECS, PARTITION)


def test_pictures_are_declared_as_hugging_face_images() -> None:
    assert b'"image": {"_type": "Image"}' in IMAGES.schema.metadata[b"huggingface"]


def test_the_root_may_be_any_fsspec_url() -> None:
    store = ParquetStore("memory://tables")
    store.publish(PROMPT_SPECS, PARTITION, specs(3))
    assert store.partitions(PROMPT_SPECS) == [PARTITION]
    read = store.read(PROMPT_SPECS, PARTITION)
    assert read is not None
    assert read.equals(specs(3))


ROOTS = ["stable [copy]", "a*b?", "{x,y}", "größe 猫", "50%", "a b"]


@pytest.mark.parametrize("name", ROOTS)
def test_folders_of_every_name(name: str, tmp_path: Path) -> None:
    store = ParquetStore(str(tmp_path / name))
    store.publish(PROMPT_SPECS, PARTITION, specs(3))
    assert store.partitions(PROMPT_SPECS) == [PARTITION]
    assert store.read_all(PROMPT_SPECS).num_rows == 3
    assert store.files(PROMPT_SPECS) == [store.path(PROMPT_SPECS, PARTITION)]


def test_copies_that_others_made_are_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = ParquetStore(str(tmp_path))
    folder = Path(store.publish(PROMPT_SPECS, PARTITION, specs(3))).parent
    for name in (
        "part-0 (1).parquet",
        "part-0.sync-conflict-20260101.parquet",
        "part-1.parquet",
        ".part-0.parquet.tmp",
        "._part-0.parquet",
        ".DS_Store",
    ):
        (folder / name).write_bytes((folder / "part-0.parquet").read_bytes())
    for name in ("batch=0001 (1)", "batch=0001 - Copy", "batch=1", "backup", ".batch=0001"):
        shutil.copytree(folder, folder.parent / name)
    shutil.copytree(folder.parent, folder.parent.parent / "ability=animal (conflicted copy)")
    (folder.parent / "batch=0002").mkdir()
    for _ in range(2):
        assert store.partitions(PROMPT_SPECS) == [PARTITION]
        assert store.read_all(PROMPT_SPECS).num_rows == 3
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == len(set(told))
    for name in ("batch=0001 (1)", "batch=0001 - Copy", "batch=1", "ability=animal (conflicted copy)/batch=0001"):
        assert any(f"{name} is left out" in line and "no partition is called" in line for line in told)
    assert any(
        "part-0 (1).parquet is left out" in line and "where only part-0.parquet is read" in line for line in told
    )


def test_tables_and_partitions_may_be_links(tmp_path: Path) -> None:
    store = ParquetStore(str(tmp_path / "tables"))
    folder = Path(store.publish(PROMPT_SPECS, PARTITION, specs(3))).parent
    (tmp_path / "disk").mkdir()
    for path in (folder, tmp_path / "tables/prompt_specs"):
        moved = path.rename(tmp_path / "disk" / path.name)
        path.symlink_to(moved)
        assert store.partitions(PROMPT_SPECS) == [PARTITION]


@pytest.mark.parametrize(
    "error",
    [
        PermissionError(errno.EACCES, "Permission denied"),
        PermissionError("Access Denied"),
        OSError(errno.ESTALE, "Stale file handle"),
        OSError(errno.EMFILE, "Too many open files"),
        TimeoutError("timed out"),
    ],
)
def test_what_the_machine_says_is_no_damage(error: OSError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ParquetStore(str(tmp_path))
    store.publish(PROMPT_SPECS, PARTITION, specs(3))

    def refuse(opened: LocalFileOpener, length: int = -1) -> bytes:
        raise error

    monkeypatch.setattr(LocalFileOpener, "read", refuse)
    with pytest.raises(StoreError, match=r"part-0\.parquet: cannot be read \(.*Its rows may be good") as raised:
        store.read(PROMPT_SPECS, PARTITION)
    assert "amaged" not in str(raised.value)
    assert "elete" not in str(raised.value)


def test_an_interrupted_publication_leaves_what_was_there(tmp_path: Path) -> None:
    store = ParquetStore(str(tmp_path))
    store.publish(PROMPT_SPECS, PARTITION, specs(3))

    def interrupted() -> Iterator[pa.Table]:
        yield specs(2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.publish(PROMPT_SPECS, PARTITION, interrupted())
    with pytest.raises(ValueError, match="field names"):
        store.publish(PROMPT_SPECS, PARTITION, specs(2).drop_columns(["seed"]))
    read = store.read(PROMPT_SPECS, PARTITION)
    assert read is not None
    assert read.equals(specs(3))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["part-0.parquet"]
