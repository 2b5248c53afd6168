"""Gates of ``ability_benchmark``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stablellava_assets.checks.gates import (
    Gate,
    Suite,
    always,
    reasons_given,
    unique_ids,
    yes_and_no_balance,
    yes_surplus,
)
from stablellava_assets.evaluation.benchmark import PAINTED
from stablellava_assets.tables.schemas import ABILITY_BENCHMARK

if TYPE_CHECKING:
    import pandas as pd


def _items(frame: pd.DataFrame) -> pd.DataFrame:
    """Adds ``yes_surplus`` (of synthesized items only, since the user chooses the photographs) and
    ``accepted_keywords`` (count)."""
    painted = frame.loc[frame["benchmark"] == PAINTED, "accepted"]
    return frame.assign(
        yes_surplus=yes_surplus([keywords[0] for keywords in painted if len(keywords)]),
        accepted_keywords=[len(keywords) for keywords in frame["accepted"]],
    )


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
    ),
    _items,
)
