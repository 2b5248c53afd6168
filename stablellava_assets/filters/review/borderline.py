"""The scores of a pair beside the thresholds they are held against, and which are close to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from stablellava_assets.filters.settings import FilterSettings

_Side = Literal["at least", "at most"]


class Score(NamedTuple):
    """A stored score, the bound that the settings set it, and on which side of that a pair is kept."""

    name: str
    value: float | None
    bound: float
    side: _Side

    def is_close(self, share: float) -> bool:
        """Whether it differs from its bound by at most ``share`` of that bound."""
        return self.value is not None and abs(self.value - self.bound) <= share * abs(self.bound)


def is_borderline(scores: Sequence[Score], share: float) -> bool:
    """Whether one of a pair's scores is close to its bound."""
    return any(score.is_close(share) for score in scores)


_OF_VERDICTS: tuple[tuple[str, Callable[[FilterSettings], float], _Side], ...] = (
    ("image_spread", lambda settings: settings.min_image_spread, "at least"),
    ("keyword_count", lambda settings: settings.prompt.max_keywords, "at most"),
    ("answer_words", lambda settings: settings.dialogue.max_answer_words, "at most"),
)
"""Columns of a verdict that a threshold decides about. A filter that stores another score adds its line here."""

SCORE_COLUMNS = tuple(column for column, _, _ in _OF_VERDICTS)


def scores_of(
    verdict: Mapping[str, Any], aligned: Mapping[str, Sequence[Mapping[str, Any]]], settings: FilterSettings
) -> list[Score]:
    """Every score that decides about a pair.

    Args:
        verdict: at least ``ability``, ``image_ids`` and ``SCORE_COLUMNS`` of a row of ``filtered_pairs``.
        aligned: the ``alignment_scores`` rows of pictures, by image id.
        settings: the thresholds.
    """
    scores = [Score(column, verdict[column], bound_of(settings), side) for column, bound_of, side in _OF_VERDICTS]
    if settings.alignment is None:
        return scores
    for row in (row for image_id in verdict["image_ids"] for row in aligned.get(image_id, ())):
        bound = settings.alignment.min_score_of(row["scorer"], row["fact"], verdict["ability"])
        if bound is not None:
            scores.append(Score(f"{row['scorer']}, {row['fact']}: {row['claim']}", row["score"], bound, "at least"))
    return scores
