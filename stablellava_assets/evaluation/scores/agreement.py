"""How often a judge and the keywords say the same of an answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from stablellava_assets.tables.score_rows import AnswerJudgement


class Agreement(NamedTuple):
    """``raw`` is the share of the ``n`` answers on which both say the same; ``kappa`` corrects it for chance.

    ``kappa`` is Cohen's (1960), and None where both say the same of every answer whatever it is, since then chance
    explains everything.
    """

    n: int
    raw: float
    kappa: float | None


def agreement(judgements: Iterable[AnswerJudgement]) -> Agreement | None:
    """Of the ``answer_judgements`` rows that have a verdict; None where none has."""
    pairs = [(correct, row["by_keywords"]) for row in judgements if (correct := row["correct"]) is not None]
    if not pairs:
        return None
    n = len(pairs)
    raw = sum(judge == keywords for judge, keywords in pairs) / n
    judged, held = (sum(pair[place] for pair in pairs) / n for place in (0, 1))
    by_chance = judged * held + (1 - judged) * (1 - held)
    return Agreement(n, raw, (raw - by_chance) / (1 - by_chance) if by_chance < 1 else None)
