"""Gates of ``prompt_specs``."""

from stablellava_assets.checks.gates import Gate, Suite, always, enough_made, has_rows, reasons_given, unique_ids
from stablellava_assets.tables.schemas import PROMPT_SPECS

SUITE = Suite(
    PROMPT_SPECS,
    (
        has_rows(),
        unique_ids(PROMPT_SPECS),
        enough_made("min_made_prompts"),
        reasons_given(),
        Gate(
            "subjects_are_named",
            "Every written prompt has a subject.",
            "ExpectColumnValueLengthsToBeBetween",
            always(column="subject", min_value=1, row_condition='status == "made"', condition_parser="pandas"),
        ),
        Gate(
            "seeds_differ",
            "No two prompts share a seed, so no picture is painted twice by accident.",
            "ExpectColumnValuesToBeUnique",
            always(column="seed"),
        ),
    ),
)
