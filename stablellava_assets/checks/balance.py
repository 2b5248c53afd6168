"""How evenly a batch speaks of its subjects. A model that is left to choose comes back to a few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import log
from typing import NamedTuple

_FEWEST = 10
"""Prompts from which a balance can be told; fewer are balanced."""


class Balance(NamedTuple):
    """``entropy`` is over that of as many equally frequent subjects: 1 is even, 0 a single subject; ``top_share`` 0 to 1."""

    subjects: int
    entropy: float
    top_subject: str | None
    top_share: float


def subject_balance(subjects: Iterable[str | None]) -> Balance:
    """The balance of the subjects of prompts, upper and lower case being the same; those without one do not count."""
    counts = Counter(subject.casefold() for subject in subjects if subject)
    total = counts.total()
    if total < _FEWEST:
        return Balance(len(counts), 1.0, None, 0.0)
    top, most = counts.most_common(1)[0]
    entropy = -sum(count / total * log(count / total) for count in counts.values())
    return Balance(len(counts), entropy / log(len(counts)) if len(counts) > 1 else 0.0, top, most / total)
