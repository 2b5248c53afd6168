"""The schedule and what follows it, with a real daemon process."""

from __future__ import annotations

import pytest

from stablellava_assets.tables.schemas import ABILITY_SCORES, FILTERED_PAIRS, PROMPT_SPECS
from stablellava_assets_tests.automation.daemon import daemon_of, wait_for
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.project import Project


@pytest.mark.slow
def test_the_schedule_makes_the_next_batch_and_scores_follow(own: Project) -> None:
    own.write_profile({**SMALL, "schedule": {"cron": "* * * * *"}})
    store = own.workspace.store
    scored = store.partitions(ABILITY_SCORES)
    own.shell("dagster sensor start follow_new_pairs && dagster schedule start next_batch_of_every_ability")
    with daemon_of(own):
        second = {(ability, "0002") for ability in own.workspace.catalog}
        wait_for("the second batch to begin", lambda: bool(second & set(store.partitions(PROMPT_SPECS))))
        own.shell("dagster schedule stop next_batch_of_every_ability")  # Or it would begin a third.
        wait_for("the second batch of every ability", lambda: second <= set(store.partitions(FILTERED_PAIRS)))
        wait_for("the scores to follow", lambda: len(store.partitions(ABILITY_SCORES)) > len(scored))
