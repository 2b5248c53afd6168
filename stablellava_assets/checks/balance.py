"""Balance of subjects in a batch: a model left to choose keeps returning to a few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import log
from typing import NamedTuple

_FEWEST = 10
"""Minimum number of prompts to measure balance; fewer count as balanced. With more, at least
as many subjects are expected."""


class Balance(NamedTuple):
    """``entropy`` is relative to that of equally frequent subjects, at least ten; ``top_share`` is 0 to 1.

    An entropy of 1 is even, 0 is a single subject. Two equally frequent subjects have 0.3.
    """

    subjects: int
    entropy: float
    top_subject: str | None
    top_share: float


def subject_balance(subjects: Iterable[str | None]) -> Balance:
    """The balance of the subjects of prompts, ignoring case and prompts without a subject."""
    counts = Counter(subject.casefold() for subject in subjects if isinstance(subject, str) and subject)
    total = counts.total()
    if total < _FEWEST:
        return Balance(len(counts), 1.0, None, 0.0)
    top, most = counts.most_common(1)[0]
    entropy = -sum(count / total * log(count / total) for count in counts.values())
    return Balance(len(counts), entropy / log(max(len(counts), _FEWEST)), top, most / total)
