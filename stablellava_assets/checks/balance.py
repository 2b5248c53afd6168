"""How evenly a batch speaks of its subjects. A model that is left to choose comes back to a few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import log
from typing import NamedTuple

_FEWEST = 10
"""Prompts from which a balance can be told; fewer are balanced. From so many, as many subjects can be expected."""


class Balance(NamedTuple):
    """``entropy`` is over that of as many equally frequent subjects, of ten at least; ``top_share`` is 0 to 1.

    An entropy of 1 is even, of 0 a single subject. Two subjects that share a batch are as even as can be, and 0.3 here.
    """

    subjects: int
    entropy: float
    top_subject: str | None
    top_share: float


def subject_balance(subjects: Iterable[str | None]) -> Balance:
    """The balance of the subjects of prompts, upper and lower case being the same; those without one do not count."""
    counts = Counter(subject.casefold() for subject in subjects if isinstance(subject, str) and subject)
    total = counts.total()
    if total < _FEWEST:
        return Balance(len(counts), 1.0, None, 0.0)
    top, most = counts.most_common(1)[0]
    entropy = -sum(count / total * log(count / total) for count in counts.values())
    return Balance(len(counts), entropy / log(max(len(counts), _FEWEST)), top, most / total)
