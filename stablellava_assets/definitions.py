"""What Dagster loads: the assets of every module of ``defs``, and what automates them."""

import dagster as dg

from stablellava_assets import defs as dagster_layer
from stablellava_assets.defs.automation.backfills import BATCH_JOB, MEASURE_JOB, next_batch_of_every_ability
from stablellava_assets.defs.automation.display import terminal_display
from stablellava_assets.defs.automation.following import follow_new_pairs
from stablellava_assets.defs.automation.logs import readable_log
from stablellava_assets.defs.project import EXECUTOR, WORKSPACE
from stablellava_assets.defs.resources import resources_of

defs = dg.Definitions(
    assets=dg.load_assets_from_package_module(dagster_layer, include_specs=True),
    jobs=[BATCH_JOB, MEASURE_JOB],
    schedules=[next_batch_of_every_ability],
    sensors=[follow_new_pairs],
    resources=resources_of(WORKSPACE),
    loggers={"console": readable_log, "terminal": terminal_display},
    executor=EXECUTOR,
)
