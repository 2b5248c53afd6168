"""Backfills and what follows them, with a real daemon process."""

from __future__ import annotations

import time

import pytest
from dagster import DagsterInstance, DagsterRunStatus

from stablellava_assets.tables.schemas import ABILITY_SCORES, DIALOGUES, FILTERED_PAIRS, LLAVA_CHECKPOINT
from stablellava_assets.tables.store import Partition
from stablellava_assets.tables.table import Table
from stablellava_assets_tests.automation.daemon import daemon_of, wait_for
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.project import Project

pytestmark = pytest.mark.slow


def versions(project: Project, table: Table) -> dict[Partition, str]:
    store = project.workspace.store
    return {partition: store.version(table, partition) for partition in store.partitions(table)}


def statuses(project: Project) -> list[DagsterRunStatus]:
    with DagsterInstance.from_config(str(project.dagster_home)) as instance:
        return [run.status for run in instance.get_runs()]


def test_a_backfill_of_a_range_of_batches(own: Project) -> None:
    store = own.workspace.store
    with daemon_of(own):
        own.shell("dagster job backfill -j ability_batch --partitions 'animal|0002,animal|0003' --noprompt")
        expected = {("animal", "0002"), ("animal", "0003")}
        wait_for("both batches", lambda: expected <= set(store.partitions(FILTERED_PAIRS)))


def test_a_failed_gate_stops_what_is_downstream_in_a_backfill_too(own: Project) -> None:
    own.write_profile({**SMALL, "gates": {"min_kept_pairs": 1.0}, "filters": {"prompt": {"max_keywords": 1}}})
    store = own.workspace.store
    tables = (FILTERED_PAIRS, LLAVA_CHECKPOINT, ABILITY_SCORES)
    before = {table.name: versions(own, table) for table in tables}
    runs = len(statuses(own))
    own.shell("dagster sensor start follow_new_pairs")
    with daemon_of(own):
        own.shell("dagster job backfill -j ability_batch --partitions 'animal|0002,color|0002' --noprompt")
        wait_for("both runs to fail", lambda: statuses(own).count(DagsterRunStatus.FAILURE) == 2)
        time.sleep(35)  # One evaluation of the sensor, which must not start anything.
    assert {("animal", "0002"), ("color", "0002")} <= set(store.partitions(DIALOGUES))
    assert {table.name: versions(own, table) for table in tables} == before
    assert len(statuses(own)) == runs + 2
