"""Gates of ``prompt_specs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stablellava_assets.checks.balance import subject_balance
from stablellava_assets.checks.diversity import vendi_score
from stablellava_assets.checks.gates import (
    Gate,
    GateSettings,
    Suite,
    always,
    at_least,
    at_most,
    enough_made,
    has_rows,
    reasons_given,
    unique_ids,
)
from stablellava_assets.tables.schemas import MADE, PROMPT_SPECS

if TYPE_CHECKING:
    import pandas as pd


def _measure(frame: pd.DataFrame, settings: GateSettings) -> dict[str, float | None]:
    made = frame[frame["status"] == MADE]
    balance = subject_balance(made["subject"])
    is_measured = balance.top_subject is not None
    return {
        "subject_entropy": balance.entropy if is_measured else None,
        "top_subject_share": balance.top_share if is_measured else None,
        "vendi_score": vendi_score(made["prompt"]),
    }


def _seeds(frame: pd.DataFrame) -> pd.DataFrame:
    """Adds ``seed_of_group``: the seed, or null if an earlier image of the group has the same."""
    in_group = frame["group_id"].notna()
    repeated = in_group & frame.duplicated(["group_id", "seed"])
    return frame.assign(seed_of_group=frame["seed"].astype(object).mask(repeated, None))


SUITE = Suite(
    PROMPT_SPECS,
    (
        has_rows(),
        unique_ids(PROMPT_SPECS),
        enough_made("min_made_prompts"),
        reasons_given(),
        Gate(
            "subjects_are_named",
            "Every prompt has a subject.",
            "ExpectColumnValueLengthsToBeBetween",
            always(column="subject", min_value=1, row_condition='status == "made"', condition_parser="pandas"),
        ),
        Gate(
            "seeds_differ",
            "No two prompts share a seed, but for images of one group, so no image is made twice by accident.",
            "ExpectColumnValuesToBeUnique",
            always(column="seed_of_group"),
        ),
        at_least("subjects_are_even", "The evenness of the subjects", "subject_entropy", "min_subject_entropy"),
        at_most(
            "no_subject_dominates",
            "The share of prompts with the most frequent subject",
            "top_subject_share",
            "max_top_subject_share",
        ),
        at_least("prompts_are_diverse", "The Vendi score of the prompts", "vendi_score", "min_vendi_score"),
    ),
    _seeds,
    _measure,
)
