"""The Parquet store on a real S3 server, with what networks, operators and other machines do to it."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import signal
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import fsspec
import pyarrow as pa
import pytest

from stablellava_assets.defs.prompt_specs import prompt_specs
from stablellava_assets.defs.resources import resources_of
from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.profiles.profile import StorageSettings
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.schemas import PROMPT_SPECS
from stablellava_assets.tables.store import ParquetStore, StoreError
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.fakes.object_store import S3, SECRET, Request, faulty, s3_client
from stablellava_assets_tests.project import Project
from stablellava_assets_tests.tables.big_rows import BIG, COUNT, SIZE, big_rows, publish_for_ever
from stablellava_assets_tests.tables.test_store import PARTITION, specs

TABLES = "tables"


def store_in(s3: S3) -> ParquetStore:
    return ParquetStore(f"{s3.url}/{TABLES}")


def version_of(rows: pa.Table | None) -> int:
    """The version that a partition of big rows holds; every row must be of it."""
    assert rows is not None
    assert rows.num_rows == COUNT
    (version,) = set(texts_of(rows, "run_id"))
    return int(version.removeprefix("version "))


def test_what_is_published_is_read_back_with_one_listing(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    partitions = [(ability, f"{batch:04d}") for ability in ("animal", "color") for batch in range(1, 13)]
    for partition in partitions:
        store_in(s3).publish(PROMPT_SPECS, partition, specs(2))
    with faulty(s3.server) as (address, seen), s3_client(monkeypatch, address):
        store = store_in(s3)
        assert store.partitions(PROMPT_SPECS) == partitions
        assert len(store.versions(PROMPT_SPECS)) == len(partitions)
        assert dict(seen.requests) == {"LIST": 2}
        seen.clear()
        assert store.read_all(PROMPT_SPECS, partitions[:2]).num_rows == 4
        assert set(seen.requests) == {"GET"}


def test_a_column_costs_about_its_own_bytes(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    store_in(s3).publish(BIG, PARTITION, big_rows(1))
    with faulty(s3.server) as (address, seen), s3_client(monkeypatch, address):
        read = store_in(s3).read(BIG, PARTITION, ["image_id"])
        assert read is not None
        assert read.num_rows == COUNT
        assert seen.sent < 300_000 < COUNT * SIZE
        assert seen.requests["GET"] <= 4


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError, SystemExit, ValueError("does not fit")])
def test_an_interrupted_publication_leaves_what_was_there(s3: S3, interruption: Any) -> None:
    store = store_in(s3)
    store.publish(BIG, PARTITION, big_rows(1))

    def interrupted() -> Any:
        yield big_rows(2)
        raise interruption

    with pytest.raises(type(interruption) if isinstance(interruption, Exception) else interruption):
        store.publish(BIG, PARTITION, interrupted())
    assert version_of(store.read(BIG, PARTITION)) == 1
    assert version_of(store_in(s3).read(BIG, PARTITION)) == 1


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_writer_that_is_ended_leaves_a_whole_partition(s3: S3, ended_by: signal.Signals, tmp_path: Path) -> None:
    url, told = f"{s3.url}/{TABLES}", tmp_path / "told"
    store_in(s3).publish(BIG, PARTITION, big_rows(0))
    warm = multiprocessing.get_context("forkserver")
    writer = warm.Process(target=publish_for_ever, args=(url, dict(os.environ), told))
    writer.start()
    assert writer.pid is not None
    while not told.exists():
        time.sleep(0.01)
    time.sleep(random.Random(int(ended_by)).uniform(0.05, 0.6))
    while writer.exitcode is None:
        # Python drops a Ctrl+C that arrives while it collects an object; a person presses again.
        os.kill(writer.pid, ended_by)
        writer.join(10)
    last = len(told.read_text().splitlines()) - 1
    assert version_of(store_in(s3).read(BIG, PARTITION)) in (last, last + 1)


def test_readers_beside_a_writer_see_one_version_or_the_next(s3: S3) -> None:
    store_in(s3).publish(BIG, PARTITION, big_rows(0))
    stop = threading.Event()

    def publish_again() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            store_in(s3).publish(BIG, PARTITION, big_rows(number))

    writer = threading.Thread(target=publish_again)
    writer.start()
    try:
        store = store_in(s3)
        read = [version_of(store.read(BIG, PARTITION)) for _ in range(6)]
    finally:
        stop.set()
        writer.join()
    assert read == sorted(read)


@pytest.mark.parametrize("fault", ["reset", "cut", "slow", "SlowDown", "ServiceUnavailable"])
def test_what_passes_by_is_tried_again(s3: S3, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    arrived: list[Request] = []

    def every_fifth(request: Request) -> str | None:
        arrived.append(request)
        return fault if len(arrived) % 5 == 0 else None

    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {"read_timeout": 0.5}})
    with faulty(s3.server, every_fifth, slow_s=0.8) as (address, seen), s3_client(monkeypatch, address):
        store = store_in(s3)
        store.publish(BIG, PARTITION, big_rows(1))
        store.publish(BIG, PARTITION, big_rows(2))
        assert store.partitions(BIG) == [PARTITION]
        assert version_of(store.read(BIG, PARTITION)) == 2
        assert seen.faults[fault] >= 2


@pytest.mark.parametrize("fault", ["AccessDenied", "XMinioStorageFull"])
def test_an_upload_that_is_refused_leaves_what_was_there(s3: S3, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    store_in(s3).publish(BIG, PARTITION, big_rows(1))

    def second_part(request: Request) -> str | None:
        return fault if request.operation == "PART" else None

    with faulty(s3.server, second_part) as (address, _), s3_client(monkeypatch, address):
        with pytest.raises(StoreError, match=r"could not be written \(.*published before is untouched") as refused:
            store_in(s3).publish(BIG, PARTITION, big_rows(2))
        assert "\n" not in str(refused.value)
    assert version_of(store_in(s3).read(BIG, PARTITION)) == 1


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("InvalidAccessKeyId", r"cannot be written \(.*check the keys in the environment"),
        ("SignatureDoesNotMatch", r"cannot be written \(.*check the keys in the environment"),
        ("XMinioStorageFull", r"cannot be written \(.*XMinioStorageFull.*make room there"),
    ],
)
def test_a_store_that_cannot_be_written_says_so_first(
    s3: S3, monkeypatch: pytest.MonkeyPatch, fault: str, told: str
) -> None:
    with faulty(s3.server, lambda request: fault) as (address, _), s3_client(monkeypatch, address):
        _fails_with(told, store_in(s3))


def test_a_mistyped_bucket_is_named_and_not_created(s3: S3) -> None:
    _fails_with(
        r"storage\.tables: s3://no-such-bucket/x.*: the bucket does not exist; correct its name, or create it",
        ParquetStore("s3://no-such-bucket/x"),
    )
    for _ in range(2):
        with pytest.raises(
            StoreError, match=r"storage\.tables: s3://no-such-bucket/x.* does not exist; correct its name"
        ):
            ParquetStore("s3://no-such-bucket/x").partitions(PROMPT_SPECS)


def test_a_server_that_nobody_runs_is_named(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_client(monkeypatch, "http://127.0.0.1:9", AWS_MAX_ATTEMPTS="1"):
        _fails_with(r"storage\.tables: s3://.* cannot be reached \(.*127\.0\.0\.1:9.*check address", store_in(s3))


def test_missing_keys_are_named(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_client(monkeypatch, s3.server, AWS_EC2_METADATA_DISABLED="true", HOME="/nowhere"):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name, raising=False)
            os.environ.pop(name, None)
        _fails_with(r"cannot be reached \(.*credentials.*check address, keys", store_in(s3))


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(import_module("fsspec.registry")._registry, "s3", raising=False)
    with pytest.raises(StoreError, match=r"storage\.tables: s3://bucket/x .*pip install 'stablellava-assets\[s3\]'"):
        ParquetStore("s3://bucket/x")


@pytest.mark.parametrize("url", ["s4://bucket/x", "s4://me:secret@bucket/x"])
def test_an_unknown_scheme_is_named_without_what_is_secret_in_it(url: str) -> None:
    with pytest.raises(StoreError, match=r"storage\.tables: s4://bucket/x cannot be opened.*name a folder, or a URL"):
        ParquetStore(url)


@pytest.mark.parametrize("setting", ["tables", "models", "quarantine", "gallery", "report"])
def test_a_profile_holds_no_password(setting: str) -> None:
    with pytest.raises(ValueError, match="come from the environment"):
        StorageSettings.model_validate({setting: "s3://key:secret@bucket/tables"})


def test_stages_find_out_before_any_work(s3: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with faulty(s3.server, lambda request: "InvalidAccessKeyId") as (address, _), s3_client(monkeypatch, address):
        project = Project(tmp_path / "project", {**SMALL, "storage": {"tables": f"{s3.url}/x"}})
        result = dg.materialize(
            [prompt_specs], resources=resources_of(project.workspace), partition_key="animal|0001", raise_on_error=False
        )
    failure = result.failure_data_for_node("prompt_specs")
    assert failure is not None
    assert failure.user_failure_data is not None
    told = failure.user_failure_data.description or ""
    assert re.search(r"storage\.tables: s3://.* cannot be written \(.*check the keys in the environment", told)
    assert not list((project.folder / "data").rglob("*.sqlite"))


def _fails_with(told: str, store: ParquetStore) -> None:
    with pytest.raises(ExplainedError, match=told) as raised:
        store.check()
    assert SECRET not in str(raised.value)
    assert "\n" not in str(raised.value)
    with pytest.raises(ExplainedError) as raised:
        store.publish(PROMPT_SPECS, PARTITION, specs(1))
    assert SECRET not in str(raised.value)
