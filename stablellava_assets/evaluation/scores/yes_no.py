"""The verdict of an answer to a yes-no question, and the five figures that POPE (Li et al., 2023) reports."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from stablellava_assets.text.final_answer import final_answer
from stablellava_assets.text.keywords import is_negation, words_of

Verdict = Literal["yes", "no"]
_VERDICTS: dict[str, Verdict] = {
    **dict.fromkeys(("yes", "yeah", "yep", "yup"), "yes"),
    **dict.fromkeys(("no", "nope", "nah"), "no"),
}
_FIRST_VERDICTS: dict[str, Verdict] = {"true": "yes", "false": "no"}
_EVASION = re.compile(
    r"(?:\b(?:not|cannot)|n[’']t)(?:\s+(?:be|\w+ly|quite|possible\s+to|able\s+to))*\s+(?:know|sure|certain"
    r"|tell|say|determine)\b"
    r"|\bno\s+(?:idea|clue|way\s+(?:of|to))\b|\b(?:unclear|unsure|uncertain)\b"
)


def verdict_of(answer: str) -> Verdict | None:
    """The first yes or no; without either, no if something is negated. None: the answer takes no side.

    Yeah, yep and yup count as yes, nope and nah as no, and so do true and false as the first word. An answer that only
    evades the question ("I don't know", "not sure", "cannot tell", "unclear") takes no side, despite its negations.

    POPE's own script treats every answer without "no" or "not" as a yes, so that a model that evades a question
    agrees with it. Here such an answer is always wrong.
    """
    text = final_answer(answer).casefold()
    rest = _EVASION.sub(" ", text)
    words = words_of(rest)
    if words and words[0] in _FIRST_VERDICTS:
        return _FIRST_VERDICTS[words[0]]
    for word in words:
        if word in _VERDICTS:
            return _VERDICTS[word]
    # "A stool without a back" describes the stool.
    denies = any(is_negation(word) for word in words if word != "without")
    return "no" if rest == text and denies else None


@dataclass(frozen=True)
class YesNoFigures:
    """Yes is the positive class. A figure with a denominator of 0 is None.

    ``yes_ratio`` is the fraction of answers that say yes; ``undecided`` counts those that say neither.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    yes_ratio: float
    undecided: int


def yes_no_figures(answers: Iterable[tuple[Verdict | None, str]]) -> YesNoFigures:
    """The figures of (said, true) pairs.

    Raises:
        ValueError: there are no pairs.
    """
    pairs = list(answers)
    if not pairs:
        raise ValueError("no answers, so no figures")
    hits = pairs.count(("yes", "yes"))
    predicted_yes = sum(verdict == "yes" for verdict, _ in pairs)
    true_yes = sum(truth == "yes" for _, truth in pairs)
    return YesNoFigures(
        precision=hits / predicted_yes if predicted_yes else None,
        recall=hits / true_yes if true_yes else None,
        f1=2 * hits / (predicted_yes + true_yes) if predicted_yes + true_yes else None,
        yes_ratio=predicted_yes / len(pairs),
        undecided=sum(verdict is None for verdict, _ in pairs),
    )
