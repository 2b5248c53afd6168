"""Projects that tests share."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from filelock import FileLock

from stablellava_assets_tests.fakes.object_store import S3, make_bucket, object_store, s3_client
from stablellava_assets_tests.project import Project

# Read when torch is first imported, here and in every process that a test starts: threads of one that waits for its
# turn spin otherwise, which with a process or two a core takes a third of all processor time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

IN_MEMORY = Path("/dev/shm")
ROOM = 4 << 30
"""Bytes that must be free there: a run of the whole suite writes less than a quarter of it."""

# Dagster's history is SQLite, which waits for the disk at every event of a run: a third of the suite's time. Folders of
# tests that passed are deleted (pyproject.toml).
if os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free > ROOM:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))

SMALL: dict[str, Any] = {
    "rows_per_batch": 12,
    "rows_by_ability": None,
    "batches": 3,
    "benchmark": {"items_per_kind": 17},
    "gates": {"min_kept_pairs": 0.3},
    "tuning": {
        "model": {
            "kind": "embedded",
            "vision_widths": [16, 32, 32],
            "vision_depths": [1, 1, 1],
            "text_layers": 1,
            "text_width": 32,
            "base_pictures": 40,
            "base_texts": 40,
            "vision": {"passes": 1, "batch_size": 8},
            "language": {"passes": 1, "batch_size": 8},
            "alignment": {"passes": 1, "batch_size": 8},
        },
        "stage": {"passes": 4, "batch_size": 8},
    },
}
"""The embedded profile, small enough that a whole run takes seconds; its scores mean nothing."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project with a small profile."""
    return Project(tmp_path / "project", SMALL)


@pytest.fixture(scope="session")
def finished(seed: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose first batch went through the whole graph, by the real command line; not to be changed."""
    return copy_of_finished(seed, tmp_path_factory.mktemp("finished"))


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Folder of the one run that every worker's finished projects are copies of."""
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    folder = shared / "seed"
    with FileLock(f"{folder}.lock"):
        if not (folder / "log").exists():
            project = Project(folder, SMALL)
            command = "dagster asset materialize --select '*' --partition-range 'animal|0001...scene|0001'"
            (folder / "log").write_text(project.shell(command).stdout)
    return folder


@pytest.fixture
def own(seed: Path, tmp_path: Path) -> Project:
    """A finished project that the test may change."""
    return copy_of_finished(seed, tmp_path)


def copy_of_finished(seed: Path, folder: Path) -> Project:
    """The finished project in a folder of its own."""
    project = Project(folder / "project", SMALL)
    for part in ("data", "dagster_home"):
        shutil.copytree(seed / part, project.folder / part, dirs_exist_ok=True)
    project.log = (seed / "log").read_text()
    project.workspace.warehouse.sync()
    return project


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of an S3 server on loopback, one per worker; without one, tests that want it are skipped by name."""
    for package in ("moto", "flask_cors", "s3fs"):
        pytest.importorskip(package, reason=f"not run: {package} is missing (make test installs it)")
    with object_store() as address:
        yield address


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """An empty bucket."""
    name = f"bucket-{uuid4().hex[:12]}"
    make_bucket(s3_server, name)
    with s3_client(monkeypatch, s3_server):
        yield S3(s3_server, f"s3://{name}")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than cores: tests wait for daemons, servers and browsers a good part of their time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that hold slow tests begin first, the slowest before all others, so that no
    worker is left with one at the end."""
    seconds: Counter[Path] = Counter()
    for item in items:
        if slow := item.get_closest_marker("slow"):
            seconds[item.path] += slow.args[0] if slow.args else 10
    items.sort(key=lambda item: -seconds[item.path])
