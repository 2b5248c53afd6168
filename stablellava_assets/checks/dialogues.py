"""Gates of ``dialogues``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stablellava_assets.abilities.absence import NOT_SHOWN
from stablellava_assets.checks.gates import (
    Gate,
    GateSettings,
    Suite,
    always,
    at_least,
    enough_made,
    few_not_shown,
    has_rows,
    question_kinds,
    reasons_given,
    unique_ids,
    yes_and_no_balance,
    yes_surplus,
)
from stablellava_assets.checks.mixture import answer_words, length_spread, most_frequent_share, quota_met, share_of_kind
from stablellava_assets.tables.schemas import DIALOGUES, MADE
from stablellava_assets.text.conversations import IMAGE_MARK

if TYPE_CHECKING:
    import pandas as pd

_IF_MADE = {"row_condition": 'status == "made"', "condition_parser": "pandas"}


def _turns(frame: pd.DataFrame) -> pd.DataFrame:
    """Adds ``surplus_marks`` (image marks minus images), ``surplus_prompts`` (prompts minus different images),
    ``speakers`` (such as hg hg), and ``yes_surplus``."""
    conversations = [turns if turns is not None else [] for turns in frame["conversations"]]
    marks = [sum((turn["value"] or "").count(IMAGE_MARK) for turn in turns) for turns in conversations]
    prompts, pictures = (
        [[] if ids is None else list(ids) for ids in frame[column]] for column in ("spec_ids", "image_ids")
    )
    return frame.assign(
        surplus_marks=[count - len(shown) for count, shown in zip(marks, pictures, strict=True)],
        surplus_prompts=[len(asked) - len({*shown}) for asked, shown in zip(prompts, pictures, strict=True)],
        speakers=["".join((turn["from"] or "?")[0] for turn in turns) for turns in conversations],
        yes_surplus=yes_surplus(frame["expected"].where(frame["question_kind"] == "yes_no").tolist()),
    )


def _measure(frame: pd.DataFrame, settings: GateSettings) -> dict[str, float | None]:
    made = frame[frame["status"] == MADE]
    kinds = made["question_kind"].tolist()
    return {
        "quota_met": quota_met(kinds, settings.min_question_kind_shares),
        "top_kind_share": most_frequent_share(kinds),
        "not_shown_share": share_of_kind(kinds, NOT_SHOWN),
        "answer_length_spread": length_spread(answer_words(made["conversations"])),
    }


SUITE = Suite(
    DIALOGUES,
    (
        has_rows(),
        unique_ids(DIALOGUES),
        enough_made("min_made_dialogues"),
        reasons_given(),
        Gate(
            "image_marks_match",
            "A conversation has one <image> mark per image.",
            "ExpectColumnValuesToBeInSet",
            always(column="surplus_marks", value_set=[0], **_IF_MADE),
        ),
        Gate(
            "images_match_prompts",
            "A conversation has one image per prompt, and none twice.",
            "ExpectColumnValuesToBeInSet",
            always(column="surplus_prompts", value_set=[0], **_IF_MADE),
        ),
        Gate(
            "turns_alternate",
            "Turns alternate between human and gpt, and end with gpt.",
            "ExpectColumnValuesToMatchRegex",
            always(column="speakers", regex="^(hg)+$", **_IF_MADE),
        ),
        yes_and_no_balance(),
        *question_kinds(),
        few_not_shown(),
        at_least(
            "answer_lengths_vary",
            "The standard deviation of the answer lengths in words",
            "answer_length_spread",
            "min_answer_length_spread",
        ),
    ),
    _turns,
    _measure,
)
