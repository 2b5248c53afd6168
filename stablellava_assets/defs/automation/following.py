"""The sensor that tunes and scores by itself."""

import dagster as dg

follow_new_pairs = dg.AutomationConditionSensorDefinition(
    "follow_new_pairs",
    target=dg.AssetSelection.assets("llava_checkpoint", "ability_scores"),
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Tune and score once new pairs are published and no upstream run is in progress.",
)
