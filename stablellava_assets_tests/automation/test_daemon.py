"""Schedules, backfills and what follows them, with a real daemon process and an instance of its own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus

from stablellava_assets.tables.schemas import ABILITY_SCORES, DIALOGUES, FILTERED_PAIRS, LLAVA_CHECKPOINT
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.project import Project

pytestmark = pytest.mark.slow


@contextmanager
def daemon_of(project: Project) -> Iterator[None]:
    log = project.folder / "daemon.log"
    process = project.start(f"dagster-daemon run > {log} 2>&1")
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{error}\n{log.read_text()[-6000:]}") from error
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def wait_for(what: str, condition: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(1)
    raise AssertionError(f"waited {seconds} s for {what}")


def statuses(project: Project) -> list[DagsterRunStatus]:
    with DagsterInstance.from_config(str(project.dagster_home)) as instance:
        return [run.status for run in instance.get_runs()]


def test_the_schedule_makes_the_next_batch_and_scores_follow(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", {**SMALL, "schedule": {"cron": "* * * * *"}})
    project.shell("dagster asset materialize --select ability_benchmark")
    store = project.workspace.store
    project.shell("dagster sensor start follow_new_pairs && dagster schedule start next_batch_of_every_ability")
    with daemon_of(project):
        first = {(ability, "0001") for ability in project.workspace.catalog}
        wait_for("the first batch of every ability", lambda: first <= set(store.partitions(FILTERED_PAIRS)))
        project.shell("dagster schedule stop next_batch_of_every_ability")
        wait_for("the scores to follow", lambda: bool(store.partitions(ABILITY_SCORES)))


def test_a_backfill_of_a_range_of_batches(project: Project) -> None:
    project.shell("dagster asset materialize --select ability_benchmark")
    store = project.workspace.store
    with daemon_of(project):
        project.shell("dagster job backfill -j ability_batch --partitions 'animal|0001,animal|0002' --noprompt")
        expected = [("animal", "0001"), ("animal", "0002")]
        wait_for("both batches", lambda: store.partitions(FILTERED_PAIRS) == expected)


def test_a_failed_gate_stops_what_is_downstream_in_a_backfill_too(tmp_path: Path) -> None:
    project = Project(
        tmp_path / "project", {**SMALL, "gates": {"min_kept_pairs": 1.0}, "filters": {"prompt": {"max_keywords": 1}}}
    )
    project.shell("dagster asset materialize --select ability_benchmark")
    store = project.workspace.store
    project.shell("dagster sensor start follow_new_pairs")
    with daemon_of(project):
        project.shell("dagster job backfill -j ability_batch --partitions 'animal|0001,color|0001' --noprompt")
        wait_for("both runs to fail", lambda: statuses(project).count(DagsterRunStatus.FAILURE) == 2)
        time.sleep(35)  # One evaluation of the sensor, which must not start anything.
    assert store.partitions(DIALOGUES) == [("animal", "0001"), ("color", "0001")]
    assert store.partitions(FILTERED_PAIRS) == []
    assert store.partitions(LLAVA_CHECKPOINT) == []
    assert len(statuses(project)) == 3
