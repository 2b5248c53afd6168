"""Gates of ``ability_scores``."""

from stablellava_assets.checks.gates import Gate, Suite, always, has_rows, unique_ids
from stablellava_assets.tables.schemas import ABILITY_SCORES

SUITE = Suite(
    ABILITY_SCORES,
    (
        has_rows(),
        unique_ids(ABILITY_SCORES),
        Gate(
            "both_models_scored",
            "Both the base and the tuned model have scores.",
            "ExpectColumnDistinctValuesToContainSet",
            always(column="model", value_set=["base", "tuned"]),
        ),
        Gate(
            "accuracies_are_shares",
            "Every accuracy is a share, 0 to 1.",
            "ExpectColumnValuesToBeBetween",
            always(column="accuracy", min_value=0, max_value=1),
        ),
        Gate(
            "intervals_enclose_accuracy",
            "The upper bound of every interval is not below its lower bound.",
            "ExpectColumnPairValuesAToBeGreaterThanB",
            always(column_A="interval_high", column_B="interval_low", or_equal=True),
        ),
    ),
)
