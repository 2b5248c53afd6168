"""Gates of ``prompt_specs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stablellava_assets.checks.balance import subject_balance
from stablellava_assets.checks.gates import Gate, Suite, always, enough_made, has_rows, reasons_given, unique_ids
from stablellava_assets.tables.schemas import MADE, PROMPT_SPECS

if TYPE_CHECKING:
    import pandas as pd


def _balance(frame: pd.DataFrame) -> pd.DataFrame:
    """Adds ``subject_entropy`` and ``top_subject_share``, each the same in every row."""
    balance = subject_balance(frame["subject"][frame["status"] == MADE])
    return frame.assign(subject_entropy=balance.entropy, top_subject_share=balance.top_share)


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
        Gate(
            "subjects_are_even",
            "The evenness of the subjects is at least the profile's gates.min_subject_entropy.",
            "ExpectColumnValuesToBeBetween",
            lambda settings: {"column": "subject_entropy", "min_value": settings.min_subject_entropy},
        ),
        Gate(
            "no_subject_dominates",
            "No subject has more than the profile's gates.max_top_subject_share of the prompts.",
            "ExpectColumnValuesToBeBetween",
            lambda settings: {"column": "top_subject_share", "max_value": settings.max_top_subject_share},
        ),
    ),
    _balance,
)
