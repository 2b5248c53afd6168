"""The scores of a pair with their thresholds, and which of them are close."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, TypedDict

from stablellava_assets.filters.settings import FilterSettings

_Side = Literal["at least", "at most"]
_Measure = Literal["image_spread", "keyword_count", "answer_words"]


class Score(NamedTuple):
    """A stored score, its threshold, and on which side of it a pair is kept."""

    name: str
    value: float | None
    bound: float
    side: _Side

    def is_close(self, share: float) -> bool:
        """Whether the score differs from its threshold by at most ``share`` of that threshold."""
        return self.value is not None and abs(self.value - self.bound) <= share * abs(self.bound)


def is_borderline(scores: Sequence[Score], share: float) -> bool:
    """Whether one of a pair's scores is close to its threshold."""
    return any(score.is_close(share) for score in scores)


_OF_VERDICTS: tuple[tuple[_Measure, Callable[[FilterSettings], float], _Side], ...] = (
    ("image_spread", lambda settings: settings.min_image_spread, "at least"),
    ("keyword_count", lambda settings: settings.prompt.max_keywords, "at most"),
    ("answer_words", lambda settings: settings.dialogue.max_answer_words, "at most"),
)
"""Verdict columns that are compared with a threshold. A filter that stores another score adds its line here."""


class MeasuredVerdict(TypedDict):
    """The columns of a verdict that hold scores."""

    ability: str
    image_ids: list[str]
    image_spread: float | None
    keyword_count: int
    answer_words: int


class ScoredStatement(TypedDict):
    """An alignment score of an image."""

    image_id: str
    scorer: str
    fact: str
    claim: str
    score: float | None


def scores_of(
    verdict: MeasuredVerdict, aligned: Mapping[str, Sequence[ScoredStatement]], settings: FilterSettings
) -> list[Score]:
    """Every score that contributes to the verdict on a pair.

    Args:
        verdict: a row of ``filtered_pairs`` or ``rejected_pairs``.
        aligned: the ``alignment_scores`` rows of images, by image id.
        settings: the thresholds.
    """
    scores = [Score(column, verdict[column], bound_of(settings), side) for column, bound_of, side in _OF_VERDICTS]
    if settings.alignment is None:
        return scores
    several = len(verdict["image_ids"]) > 1
    for number, image_id in enumerate(verdict["image_ids"], 1):
        for row in aligned.get(image_id, ()):
            bound = settings.alignment.min_score_of(row["scorer"], row["fact"], verdict["ability"])
            if bound is not None:
                name = f"{f'picture {number}, ' if several else ''}{row['scorer']}, {row['fact']}: {row['claim']}"
                scores.append(Score(name, row["score"], bound, "at least"))
    return scores
