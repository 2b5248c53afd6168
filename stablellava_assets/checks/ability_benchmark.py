"""Gates of ``ability_benchmark``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stablellava_assets.checks.gates import (
    Gate,
    GateSettings,
    Suite,
    always,
    at_most,
    reasons_given,
    unique_ids,
    yes_and_no_balance,
    yes_surplus,
)
from stablellava_assets.evaluation.benchmark import DIAGNOSIS, PAINTED
from stablellava_assets.evaluation.guessing import AskedText, guess_surplus
from stablellava_assets.tables.schemas import ABILITY_BENCHMARK

if TYPE_CHECKING:
    import pandas as pd


def _items(frame: pd.DataFrame) -> pd.DataFrame:
    """The items that are scored, with ``yes_surplus`` (of synthesized items only, since the user chooses the
    photographs) and ``accepted_keywords`` (count)."""
    frame = frame[frame["benchmark"] != DIAGNOSIS]
    painted = frame.loc[frame["benchmark"] == PAINTED, "accepted"]
    return frame.assign(
        yes_surplus=yes_surplus([keywords[0] for keywords in painted if len(keywords)]),
        accepted_keywords=[len(keywords) for keywords in frame["accepted"]],
    )


def _measures(frame: pd.DataFrame, settings: GateSettings) -> Mapping[str, float | None]:
    several = frame[(frame["benchmark"] == PAINTED) & frame["further_sha256"].notna()]
    return {"guess_surplus": guess_surplus(_asked(row) for _, row in several.iterrows())}


def _asked(row: pd.Series[Any]) -> AskedText:
    groups, history = row["accepted_groups"], row["history"]
    options = list(row["options"])
    accepted = list(row["accepted"])
    right = next((option for option in options if option in accepted), None)
    if right is None:
        right = " ".join(accepted[:1] if groups is None else [group[0] for group in groups])
    turns = [] if history is None else [turn["value"] for turn in history]
    return AskedText(row["question_kind"], "\n".join([*turns, row["question"]]), options, right)


SUITE = Suite(
    ABILITY_BENCHMARK,
    (
        Gate(
            "has_fifty_items",
            "An ability has at least 50 questions; with fewer, intervals are too wide.",
            "ExpectTableRowCountToBeBetween",
            always(min_value=50),
        ),
        unique_ids(ABILITY_BENCHMARK),
        Gate(
            "all_items_made",
            "Every item has an image and a question.",
            "ExpectColumnValuesToBeInSet",
            always(column="status", value_set=["made"]),
            names_reasons=True,
        ),
        reasons_given(),
        Gate(
            "answers_are_known",
            "Every item accepts at least one keyword.",
            "ExpectColumnValuesToBeBetween",
            always(column="accepted_keywords", min_value=1),
        ),
        yes_and_no_balance(),
        replace(
            at_most(
                "text_alone_does_not_tell",
                "What a guess from the text of questions about several images exceeds chance by (lower bound)",
                "guess_surplus",
                "max_guess_surplus",
            ),
            unmeasured_message="no questions about several images",
        ),
    ),
    _items,
    _measures,
)
