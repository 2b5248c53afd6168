"""Backfills, the schedule and what follows them, with a real daemon process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from dagster import DagsterRunStatus

from stablellava_assets.tables.schemas import ABILITY_SCORES, DIALOGUES, FILTERED_PAIRS, LLAVA_CHECKPOINT, PROMPT_SPECS
from stablellava_assets.tables.store import Partition
from stablellava_assets.tables.table import AnyTable
from stablellava_assets_tests.automation.daemon import (
    SCHEDULE,
    SENSOR,
    all_ended,
    daemon_of,
    statuses,
    tell,
    turn_on_the_schedule,
    wait_for,
    wait_for_a_look,
)
from stablellava_assets_tests.conftest import SMALL, copy_of_finished
from stablellava_assets_tests.project import Project

pytestmark = pytest.mark.slow(60)

SETTINGS: dict[str, Any] = {**SMALL, "batches": 5, "schedule": {"cron": "* * * * *", "follow_seconds": 5}}


@pytest.fixture(scope="module")
def watched(seed: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A finished project beside its daemon, schedule and sensor turned off; its tests
    give it work one after the other."""
    project = copy_of_finished(seed, tmp_path_factory.mktemp("watched"))
    project.write_profile(SETTINGS)
    with daemon_of(project):
        yield project


def versions(project: Project, table: AnyTable) -> dict[Partition, str]:
    store = project.workspace.store
    return {partition: store.version(table, partition) for partition in store.partitions(table)}


def test_a_backfill_of_a_range_of_batches(watched: Project) -> None:
    store = watched.workspace.store
    tell(watched, "dagster job backfill -j ability_batch --partitions 'animal|0002,animal|0003' --noprompt")
    expected = {("animal", "0002"), ("animal", "0003")}
    wait_for(watched, "both batches", lambda: expected <= set(store.partitions(FILTERED_PAIRS)))


def test_the_schedule_makes_the_next_batch_and_scores_follow(watched: Project) -> None:
    wait_for(watched, "earlier runs to end", lambda: all_ended(watched))
    store = watched.workspace.store
    scored = store.partitions(ABILITY_SCORES)
    upcoming = set(watched.workspace.upcoming().items())
    assert {ability for ability, _ in upcoming} == set(watched.workspace.catalog)
    tell(watched, f"dagster sensor start {SENSOR}")
    wait_for_a_look(watched)
    turn_on_the_schedule(watched)
    wait_for(watched, "the next batch to begin", lambda: bool(upcoming & set(store.partitions(PROMPT_SPECS))))
    tell(watched, f"dagster schedule stop {SCHEDULE}")  # Or it would begin another.
    wait_for(watched, "the next batch of every ability", lambda: upcoming <= set(store.partitions(FILTERED_PAIRS)))
    wait_for(watched, "the scores to follow", lambda: len(store.partitions(ABILITY_SCORES)) > len(scored))


def test_a_failed_gate_stops_what_is_downstream_in_a_backfill_too(watched: Project) -> None:
    tell(watched, f"dagster sensor start {SENSOR}")
    wait_for(watched, "earlier runs to end", lambda: all_ended(watched))
    wait_for_a_look(watched)
    watched.write_profile({**SETTINGS, "gates": {"min_kept_pairs": 1.0}, "filters": {"prompt": {"max_keywords": 1}}})
    store = watched.workspace.store
    tables = (FILTERED_PAIRS, LLAVA_CHECKPOINT, ABILITY_SCORES)
    before = {table.name: versions(watched, table) for table in tables}
    runs = len(statuses(watched))
    tell(watched, "dagster job backfill -j ability_batch --partitions 'animal|0005,color|0005' --noprompt")
    wait_for(watched, "both runs to fail", lambda: statuses(watched).count(DagsterRunStatus.FAILURE) == 2)
    wait_for_a_look(watched)
    assert {("animal", "0005"), ("color", "0005")} <= set(store.partitions(DIALOGUES))
    assert {table.name: versions(watched, table) for table in tables} == before
    assert len(statuses(watched)) == runs + 2
