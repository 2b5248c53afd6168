"""Agreement between judge and keywords."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from stablellava_assets.tables.score_rows import AnswerJudgement


class Agreement(NamedTuple):
    """``raw`` is the fraction of the ``n`` answers on which both agree; ``kappa`` corrects it for chance.

    ``kappa`` is Cohen's (1960). It is None if both give every answer the same verdict, because
    chance then explains everything.
    """

    n: int
    raw: float
    kappa: float | None


def agreement(judgements: Iterable[AnswerJudgement]) -> Agreement | None:
    """Agreement on the ``answer_judgements`` rows with a verdict; None if there are none."""
    pairs = [(correct, row["by_keywords"]) for row in judgements if (correct := row["correct"]) is not None]
    if not pairs:
        return None
    n = len(pairs)
    raw = sum(judge == keywords for judge, keywords in pairs) / n
    by_judge, by_keywords = (sum(pair[place] for pair in pairs) / n for place in (0, 1))
    by_chance = by_judge * by_keywords + (1 - by_judge) * (1 - by_keywords)
    return Agreement(n, raw, (raw - by_chance) / (1 - by_chance) if by_chance < 1 else None)
