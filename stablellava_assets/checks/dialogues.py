"""Gates of ``dialogues``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stablellava_assets.checks.gates import (
    Gate,
    Suite,
    always,
    enough_made,
    has_rows,
    reasons_given,
    unique_ids,
    yes_and_no_balance,
    yes_surplus,
)
from stablellava_assets.tables.schemas import DIALOGUES

if TYPE_CHECKING:
    import pandas as pd

_IF_MADE = {"row_condition": 'status == "made"', "condition_parser": "pandas"}


def _turns(frame: pd.DataFrame) -> pd.DataFrame:
    """Adds ``surplus_marks`` (image marks less pictures), ``speakers`` (as in hg hg), and ``yes_surplus``."""
    conversations = [turns if turns is not None else [] for turns in frame["conversations"]]
    marks = [sum(turn["value"].count("<image>") for turn in turns) for turns in conversations]
    pictures = [len(ids) if ids is not None else 0 for ids in frame["image_ids"]]
    return frame.assign(
        surplus_marks=[a - b for a, b in zip(marks, pictures, strict=True)],
        speakers=["".join(turn["from"][0] for turn in turns) for turns in conversations],
        yes_surplus=yes_surplus(frame["expected"].where(frame["question_kind"] == "yes_no").tolist()),
    )


SUITE = Suite(
    DIALOGUES,
    (
        has_rows(),
        unique_ids(DIALOGUES),
        enough_made("min_made_dialogues"),
        reasons_given(),
        Gate(
            "image_marks_match",
            "A conversation has one <image> mark a picture.",
            "ExpectColumnValuesToBeInSet",
            always(column="surplus_marks", value_set=[0], **_IF_MADE),
        ),
        Gate(
            "turns_alternate",
            "A conversation goes human, gpt, human, gpt, and ends with gpt.",
            "ExpectColumnValuesToMatchRegex",
            always(column="speakers", regex="^(hg)+$", **_IF_MADE),
        ),
        yes_and_no_balance(),
    ),
    _turns,
)
