"""The sensor that tunes and scores automatically."""

import dagster as dg

from stablellava_assets.defs.project import WORKSPACE

follow_new_pairs = dg.AutomationConditionSensorDefinition(
    "follow_new_pairs",
    target=dg.AssetSelection.assets("llava_checkpoint", "ability_scores"),
    minimum_interval_seconds=WORKSPACE.profile.schedule.follow_seconds,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Tune and score once new pairs are published and no upstream run is in progress.",
)
