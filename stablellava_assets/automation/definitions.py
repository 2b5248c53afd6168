"""Gathers assets, jobs, schedules and sensors into one Definitions."""

from __future__ import annotations

import dagster as dg

from stablellava_assets.assets.ability_benchmark import ability_benchmark
from stablellava_assets.assets.ability_scores import ability_scores
from stablellava_assets.assets.dialogues import dialogues
from stablellava_assets.assets.filtered_pairs import filtered_pairs
from stablellava_assets.assets.images import images
from stablellava_assets.assets.llava_checkpoint import llava_checkpoint
from stablellava_assets.assets.project import WORKSPACE
from stablellava_assets.assets.prompt_specs import prompt_specs
from stablellava_assets.assets.published import PublishedTables
from stablellava_assets.automation.backfills import BATCH_JOB, MEASURE_JOB, next_batch_of_every_ability
from stablellava_assets.automation.logs import readable_log


def build_definitions() -> dg.Definitions:
    """Everything the code location offers.

    Steps of a run go one after the other in its own process: each stage uses all cores by itself, and a second
    process would only load the libraries again.
    """
    return dg.Definitions(
        assets=[prompt_specs, images, dialogues, ability_benchmark, filtered_pairs, llava_checkpoint, ability_scores],
        jobs=[BATCH_JOB, MEASURE_JOB],
        schedules=[next_batch_of_every_ability],
        sensors=[
            dg.AutomationConditionSensorDefinition(
                "follow_new_pairs",
                target=dg.AssetSelection.assets("llava_checkpoint", "ability_scores"),
                minimum_interval_seconds=WORKSPACE.profile.schedule.follow_seconds,
                default_status=dg.DefaultSensorStatus.STOPPED,
                description="Tunes and scores once new pairs are published and nothing upstream is still running.",
            )
        ],
        resources={"workspace": WORKSPACE, "io_manager": PublishedTables(WORKSPACE)},
        executor=dg.in_process_executor,
        loggers={"console": readable_log},
    )
