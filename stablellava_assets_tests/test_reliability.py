"""Bad moments: killed runs, several at once, gates that fail. Published data stays as it was."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from pathlib import Path

import pyarrow as pa
import pytest

from stablellava_assets.tables.rows import GROUP_WITH_IMAGES
from stablellava_assets.tables.schemas import DIALOGUES, FILTERED_PAIRS, IMAGES, PROMPT_SPECS
from stablellava_assets.tables.table import AnyTable
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.project import Project

PARTITION = ("animal", "0001")
SELECT = "--partition 'animal|0001' --select"
MANY = 500


def kill_in_the_middle(project: Project, table: AnyTable, at_least: int) -> None:
    """Start materializing a table and kill its whole process group once the journal has so many
    entries: rows or groups of them.

    It stands still while they are counted, so that it cannot finish meanwhile.
    """
    process = project.begin(f"dagster asset materialize {SELECT} {table.name}")
    journals = project.folder / "data/journal" / table.name
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.002)
        for path in journals.glob("*.sqlite"):
            os.killpg(process.pid, signal.SIGSTOP)
            if entries(path) >= at_least:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return
            os.killpg(process.pid, signal.SIGCONT)
    raise AssertionError(f"{table.name} ended before it could be killed: {process.wait().stdout}")


def entries(path: Path) -> int:
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=0) as journal:
            (count,) = journal.execute("SELECT count(*) FROM finished").fetchone()
    except sqlite3.OperationalError:
        return 0
    return int(count)


def visible_files(project: Project, table: AnyTable) -> list[Path]:
    return sorted((project.folder / "data/tables" / table.name).rglob("part-*"))


def content(project: Project, table: AnyTable) -> pa.Table:
    data = project.workspace.store.read(table, PARTITION)
    assert data is not None
    return data.drop(["run_id"])


@pytest.mark.slow
def test_killed_in_the_middle_of_images_and_of_dialogues(tmp_path: Path) -> None:
    settings = {**SMALL, "rows_per_batch": MANY, "painter": {"kind": "embedded", "workers": 1}}
    killed, undisturbed = (Project(tmp_path / name, settings) for name in ("killed", "undisturbed"))
    undisturbed.materialize(f"{SELECT} prompt_specs,images,dialogues")
    killed.materialize(f"{SELECT} prompt_specs")
    for table, at_least in ((IMAGES, 100 // GROUP_WITH_IMAGES), (DIALOGUES, 2)):
        kill_in_the_middle(killed, table, at_least)
        assert visible_files(killed, table) == []
        shown = killed.materialize(f"{SELECT} {table.name}").stdout
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
    # What the set-up does: Dagster's own tables cannot be created by four at once.
    project.run("dagster instance migrate")
    partitions = ["animal|0001", "animal|0002", "color|0001", "scene|0001"]
    processes = [
        project.begin(f"dagster asset materialize --select prompt_specs,images,dialogues --partition '{partition}'")
        for partition in partitions
    ]
    ended = [process.wait() for process in processes]
    assert [done.returncode for done in ended] == [0, 0, 0, 0], [done.stdout for done in ended]
    counted = project.workspace.warehouse.query("SELECT ability, batch, count(*) AS n FROM dialogues GROUP BY ALL")
    assert {f"{row['ability']}|{row['batch']}" for row in counted.to_pylist()} == set(partitions)
    assert set(counted["n"].to_pylist()) == {48}


@pytest.mark.slow
def test_a_failed_gate_publishes_nothing_and_keeps_the_evidence(project: Project) -> None:
    project.materialize(f"{SELECT} prompt_specs,images,dialogues")
    project.materialize("--select ability_benchmark")
    project.write_profile({**SMALL, "gates": {"min_kept_pairs": 1.0}, "filters": {"prompt": {"max_keywords": 1}}})
    failed = project.materialize(f"{SELECT} filtered_pairs,llava_checkpoint", check=False)
    assert failed.returncode != 0
    assert "enough_pairs_kept" in failed.stdout
    (evidence,) = (project.folder / "data/quarantine/filtered_pairs").iterdir()
    assert str(evidence) in failed.stdout
    assert visible_files(project, FILTERED_PAIRS) == []
    assert project.workspace.store.partitions(PROMPT_SPECS) == [PARTITION]
