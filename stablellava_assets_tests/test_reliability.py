"""Bad moments: killed runs, several at once, full disks, damaged files. Published data stays as it was."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from pathlib import Path

import pyarrow as pa
import pytest

from stablellava_assets.tables.schemas import DIALOGUES, FILTERED_PAIRS, IMAGES, PROMPT_SPECS, REJECTED_PAIRS, Table
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.project import Project

PARTITION = ("animal", "0001")
MATERIALIZE = "dagster asset materialize --partition 'animal|0001' --select"
MANY = 1500


def kill_in_the_middle(project: Project, table: Table, at_least: int) -> None:
    """Start materializing a table and kill its whole process group once so many rows are in the journal."""
    process = project.start(f"{MATERIALIZE} {table.name}")
    journals = project.folder / "data/journal" / table.name
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        for path in journals.glob("*.sqlite"):
            try:
                with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as journal:
                    (finished,) = journal.execute("SELECT count(*) FROM finished").fetchone()
            except sqlite3.OperationalError:
                continue
            if finished >= at_least:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return
        time.sleep(0.02)
    raise AssertionError(f"{table.name} ended before it could be killed: {process.communicate()[0]}")


def visible_files(project: Project, table: Table) -> list[Path]:
    return sorted((project.folder / "data/tables" / table.name).rglob("part-*"))


def content(project: Project, table: Table) -> pa.Table:
    data = project.workspace.store.read(table, PARTITION)
    assert data is not None
    return data.drop(["run_id"])


@pytest.mark.slow
def test_killed_in_the_middle_of_images_and_of_dialogues(tmp_path: Path) -> None:
    settings = {**SMALL, "rows_per_batch": MANY, "painter": {"kind": "embedded", "workers": 1}}
    killed, undisturbed = (Project(tmp_path / name, settings) for name in ("killed", "undisturbed"))
    undisturbed.shell(f"{MATERIALIZE} prompt_specs,images,dialogues")
    killed.shell(f"{MATERIALIZE} prompt_specs")
    for table, at_least in ((IMAGES, 100), (DIALOGUES, 500)):
        kill_in_the_middle(killed, table, at_least)
        assert visible_files(killed, table) == []
        shown = killed.shell(f"{MATERIALIZE} {table.name}").stdout
        data = killed.workspace.store.read(table, PARTITION)
        assert data is not None
        runs = data.group_by("run_id").aggregate([([], "count_all")]).to_pylist()
        counts = sorted(row["count_all"] for row in runs)
        assert len(counts) == 2, "rows of the killed run were taken over and the rest made by the second"
        assert f"{data.num_rows} rows, 0 reused" in shown
        assert content(killed, table).equals(content(undisturbed, table))
    assert not list((killed.folder / "data/journal").rglob("*.sqlite"))


@pytest.mark.slow
def test_four_processes_at_once(project: Project) -> None:
    project.shell(
        "dagster instance migrate"
    )  # What the set-up does: Dagster's own tables cannot be created by four at once.
    partitions = ["animal|0001", "animal|0002", "color|0001", "scene|0001"]
    processes = [
        project.start(f"dagster asset materialize --select prompt_specs,images,dialogues --partition '{partition}'")
        for partition in partitions
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0], outputs
    counted = project.workspace.warehouse.query("SELECT ability, batch, count(*) AS n FROM dialogues GROUP BY ALL")
    assert {f"{row['ability']}|{row['batch']}" for row in counted.to_pylist()} == set(partitions)
    assert set(counted["n"].to_pylist()) == {48}


def test_a_full_disk(project: Project) -> None:
    project.shell(f"{MATERIALIZE} prompt_specs,images")
    before = content(project, IMAGES)
    project.write_profile({**SMALL, "rows_per_batch": 600})
    project.shell(f"{MATERIALIZE} prompt_specs")
    # A quota of 2 MiB a file stands for the full disk.
    failed = project.shell(f"ulimit -f 2048 && {MATERIALIZE} images", check=False)
    assert failed.returncode != 0
    assert "could not be written" in failed.stdout
    assert content(project, IMAGES).equals(before)
    assert "600 rows" in project.shell(f"{MATERIALIZE} images").stdout


def test_a_truncated_file(project: Project) -> None:
    project.shell(f"{MATERIALIZE} prompt_specs,images")
    path = Path(project.workspace.store.path(IMAGES, PARTITION))
    path.write_bytes(path.read_bytes()[:-100])
    failed = project.shell(f"{MATERIALIZE} dialogues", check=False)
    assert failed.returncode != 0
    assert f"{path}: damaged Parquet file" in failed.stdout
    assert "Delete it and materialize images for partition animal|0001 again" in failed.stdout
    assert visible_files(project, DIALOGUES) == []


def test_an_unreadable_picture_is_rejected_with_its_reason(project: Project) -> None:
    everything = "prompt_specs,images,dialogues,ability_benchmark,filtered_pairs"
    project.shell(f"{MATERIALIZE} prompt_specs,images,dialogues")
    store = project.workspace.store
    data = store.read(IMAGES, PARTITION)
    assert data is not None
    rows = data.to_pylist()
    rows[3]["image"]["bytes"] = rows[3]["image"]["bytes"][:60]
    store.publish(IMAGES, PARTITION, IMAGES.from_rows(rows))
    project.shell("dagster asset materialize --select ability_benchmark")
    project.shell(f"{MATERIALIZE} filtered_pairs")
    rejected = [row for row in store.read_all(REJECTED_PAIRS).to_pylist() if row["image_ids"] == [rows[3]["image_id"]]]
    assert len(rejected) == 4, everything
    assert all("broken_image" in row["reasons"] for row in rejected)
    kept = store.read_all(FILTERED_PAIRS)["image_ids"].to_pylist()
    assert [rows[3]["image_id"]] not in kept


def test_a_failed_gate_publishes_nothing_and_keeps_the_evidence(project: Project) -> None:
    project.shell(f"{MATERIALIZE} prompt_specs,images,dialogues")
    project.shell("dagster asset materialize --select ability_benchmark")
    project.write_profile({**SMALL, "gates": {"min_kept_pairs": 1.0}, "filters": {"prompt": {"max_keywords": 1}}})
    failed = project.shell(f"{MATERIALIZE} filtered_pairs,llava_checkpoint", check=False)
    assert failed.returncode != 0
    assert "enough_pairs_kept" in failed.stdout
    (evidence,) = (project.folder / "data/quarantine/filtered_pairs").iterdir()
    assert str(evidence) in failed.stdout
    assert visible_files(project, FILTERED_PAIRS) == []
    assert project.workspace.store.partitions(PROMPT_SPECS) == [PARTITION]
