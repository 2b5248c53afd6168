"""What an answer to a yes-no question says, and the five figures that POPE (Li et al., 2023) reports."""

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
    r"(?:\b(?:not|cannot)|n[’']t)(?:\s+(?:be|\w+ly|quite|possible\s+to|able\s+to))*\s+(?:know|sure|certain|tell|say|determine)\b"
    r"|\bno\s+(?:idea|clue|way\s+(?:of|to))\b|\b(?:unclear|unsure|uncertain)\b"
)


def verdict_of(answer: str) -> Verdict | None:
    """The first yes or no; where there is neither, no if something is negated. None: the answer does not say.

    Yeah, yep and yup are yes, nope and nah no, and so are true and false as the first word. An answer that only evades the
    question ("I don't know", "not sure", "cannot tell", "unclear") does not say, for all its negations.

    POPE's own script takes whatever holds neither "no" nor "not" for a yes, so that a model which evades the question
    agrees with everything. Here such an answer is wrong, whatever is true.
    """
    text = final_answer(answer).casefold()
    rest = _EVASION.sub(" ", text)
    words = words_of(rest)
    if words and words[0] in _FIRST_VERDICTS:
        return _FIRST_VERDICTS[words[0]]
    for word in words:
        if word in _VERDICTS:
            return _VERDICTS[word]
    # "A stool without a back" tells what the stool is like.
    denies = any(is_negation(word) for word in words if word != "without")
    return "no" if rest == text and denies else None


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


def yes_no_figures(answers: Iterable[tuple[Verdict | None, str]]) -> YesNoFigures:
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
