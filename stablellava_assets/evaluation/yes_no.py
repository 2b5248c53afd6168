"""What an answer to a yes-no question says, and the five figures that POPE (Li et al., 2023) reports."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["yes", "no"]
_WORD = re.compile(r"[^\W_]+")
_NEGATION = re.compile(r"\bnot\b|n[’']t\b")


def verdict_of(answer: str) -> Verdict | None:
    """The first yes or no; where there is neither, no if something is negated. None: the answer does not say.

    POPE's own script takes whatever holds neither "no" nor "not" for a yes, so that a model which evades the question
    agrees with everything. Here such an answer is wrong, whatever is true.
    """
    text = answer.casefold()
    for word in _WORD.findall(text):
        if word == "yes":
            return "yes"
        if word == "no":
            return "no"
    return "no" if _NEGATION.search(text) else None


@dataclass(frozen=True)
class YesNoFigures:
    """Yes is the positive class. A figure whose denominator is 0 is None.

    ``yes_ratio`` is the share of all answers that say yes; ``undecided`` counts those that say neither.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    yes_ratio: float
    undecided: int


def yes_no_figures(answers: Iterable[tuple[Verdict | None, Verdict]]) -> YesNoFigures:
    """The figures of (said, true) pairs.

    Raises:
        ValueError: there are none.
    """
    pairs = list(answers)
    if not pairs:
        raise ValueError("no answers, so no figures")
    hits = pairs.count(("yes", "yes"))
    said = sum(verdict == "yes" for verdict, _ in pairs)
    true = sum(truth == "yes" for _, truth in pairs)
    return YesNoFigures(
        precision=hits / said if said else None,
        recall=hits / true if true else None,
        f1=2 * hits / (said + true) if said + true else None,
        yes_ratio=said / len(pairs),
        undecided=sum(verdict is None for verdict, _ in pairs),
    )
