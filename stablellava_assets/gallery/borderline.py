"""The scores of a verdict beside the thresholds they were held against, and which are close to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from stablellava_assets.filters.settings import FilterSettings


class Threshold(NamedTuple):
    """A column of a verdict that holds a score, and the bound that the settings set it."""

    column: str
    bound: Callable[[FilterSettings], float]
    side: Literal["at least", "at most"]


THRESHOLDS = (
    Threshold("image_spread", lambda settings: settings.min_image_spread, "at least"),
    Threshold("keyword_count", lambda settings: settings.prompt.max_keywords, "at most"),
    Threshold("answer_words", lambda settings: settings.dialogue.max_answer_words, "at most"),
)
"""Every stored score that a threshold decides about. A filter that stores another score adds its line here."""

SCORE_COLUMNS = tuple(threshold.column for threshold in THRESHOLDS)


def close_scores(verdict: Mapping[str, Any], settings: FilterSettings, share: float) -> list[str]:
    """The columns of ``verdict`` whose score differs from its bound by at most ``share`` of that bound."""
    return [
        column
        for column, bound_of, _ in THRESHOLDS
        if verdict[column] is not None and abs(verdict[column] - bound_of(settings)) <= share * abs(bound_of(settings))
    ]
