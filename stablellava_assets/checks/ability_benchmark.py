"""Gates of ``ability_benchmark``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stablellava_assets.checks.gates import Gate, Suite, always, reasons_given, unique_ids
from stablellava_assets.tables.schemas import ABILITY_BENCHMARK

if TYPE_CHECKING:
    import pandas as pd


def _items(frame: pd.DataFrame) -> pd.DataFrame:
    """Adds ``says_yes`` (1, 0 or null) and ``accepted_keywords`` (how many)."""
    import pandas as pd

    first = [keywords[0] if len(keywords) else None for keywords in frame["accepted"]]
    return frame.assign(
        says_yes=pd.Series(first, index=frame.index, dtype=object).map({"yes": 1.0, "no": 0.0}),
        accepted_keywords=[len(keywords) for keywords in frame["accepted"]],
    )


SUITE = Suite(
    ABILITY_BENCHMARK,
    (
        Gate(
            "has_fifty_items",
            "An ability is asked at least 50 questions; fewer make intervals too wide to read.",
            "ExpectTableRowCountToBeBetween",
            always(min_value=50),
        ),
        unique_ids(ABILITY_BENCHMARK),
        Gate(
            "all_items_made",
            "Every item has its picture and question.",
            "ExpectColumnValuesToBeInSet",
            always(column="status", value_set=["made"]),
        ),
        reasons_given(),
        Gate(
            "answers_are_known",
            "Every item accepts at least one keyword.",
            "ExpectColumnValuesToBeBetween",
            always(column="accepted_keywords", min_value=1),
        ),
        Gate(
            "yes_and_no_balance",
            "Of the yes-no items, 40 to 60 % are answered yes.",
            "ExpectColumnMeanToBeBetween",
            always(column="says_yes", min_value=0.4, max_value=0.6),
        ),
    ),
    _items,
)
