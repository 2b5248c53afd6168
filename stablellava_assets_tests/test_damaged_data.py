"""Full disks and damaged files. Published data stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from stablellava_assets.tables.schemas import DIALOGUES, FILTERED_PAIRS, IMAGES, REJECTED_PAIRS
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.project import Project
from stablellava_assets_tests.tables.made_up import Row
from stablellava_assets_tests.test_reliability import PARTITION, SELECT, content, visible_files
from stablellava_assets_tests.verdicts import reasons

pytestmark = pytest.mark.slow


def test_a_full_disk(project: Project) -> None:
    project.materialize(f"{SELECT} prompt_specs,images")
    before = content(project, IMAGES)
    project.write_profile({**SMALL, "rows_per_batch": 200})
    project.materialize(f"{SELECT} prompt_specs")
    # A quota of 1 MiB a file stands for the full disk.
    failed = project.shell(f"ulimit -f 1024 && dagster asset materialize {SELECT} images", check=False)
    assert failed.returncode != 0
    assert "could not be written" in failed.stdout
    assert content(project, IMAGES).equals(before)
    assert "200 rows" in project.materialize(f"{SELECT} images").stdout


def test_a_truncated_file(project: Project) -> None:
    project.materialize(f"{SELECT} prompt_specs,images")
    path = Path(project.workspace.store.path(IMAGES, PARTITION))
    path.write_bytes(path.read_bytes()[:-100])
    failed = project.materialize(f"{SELECT} dialogues", check=False)
    assert failed.returncode != 0
    assert f"{path}: damaged Parquet file" in failed.stdout
    assert "Delete it and materialize images for partition animal|0001 again" in failed.stdout
    assert visible_files(project, DIALOGUES) == []


def test_an_unreadable_picture_is_rejected_with_its_reason(project: Project) -> None:
    project.materialize(f"{SELECT} prompt_specs,images,dialogues")
    project.materialize("--select ability_benchmark")
    store = project.workspace.store
    data = store.read(IMAGES, PARTITION)
    assert data is not None
    rows: list[Row] = data.to_pylist()
    rows[3]["image"]["bytes"] = rows[3]["image"]["bytes"][:60]
    store.publish(IMAGES, PARTITION, IMAGES.from_rows(rows))
    project.materialize(f"{SELECT} filtered_pairs")
    rejected = [row for row in store.read_all(REJECTED_PAIRS).to_pylist() if row["image_ids"] == [rows[3]["image_id"]]]
    assert len(rejected) == 4
    assert all("broken_image" in reasons(row) for row in rejected)
    kept = store.read_all(FILTERED_PAIRS)["image_ids"].to_pylist()
    assert [rows[3]["image_id"]] not in kept
