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


def _groups(frame: pd.DataFrame) -> pd.DataFrame:
    """Adds ``seed_of_group``: the seed, or null if an earlier image of the group has the same; and
    ``numbers_in_group``: whole, or the image numbers of an incomplete group."""
    in_group = frame["group_id"].notna()
    repeated = in_group & frame.duplicated(["group_id", "seed"])
    numbers_in_group = ["whole"] * len(frame)
    places: dict[str, list[int]] = {}
    for at in in_group.to_numpy().nonzero()[0].tolist():
        places.setdefault(frame["group_id"].iloc[at], []).append(at)
    count = max(map(len, places.values()), default=0)
    for found in places.values():
        numbers = [int(frame["image_number"].iloc[at]) for at in found]
        if numbers != [*range(1, count + 1)]:
            for at in found:
                numbers_in_group[at] = f"{', '.join(map(str, numbers))} of {count}"
    return frame.assign(
        seed_of_group=frame["seed"].astype(object).mask(repeated, None), numbers_in_group=numbers_in_group
    )


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
        Gate(
            "groups_are_whole",
            "The prompts of a group are numbered from 1 in their order, and are as many as those of every other group.",
            "ExpectColumnValuesToBeInSet",
            always(column="numbers_in_group", value_set=["whole"]),
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
    _groups,
    _measure,
)
