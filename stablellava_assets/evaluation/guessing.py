"""How far the text of questions gives their answers away: guesses without any image, learned from the other items."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from stablellava_assets.evaluation.scores.statistics import wilson_interval
from stablellava_assets.text.keywords import words_of

_FEWEST_LABELS = 2


class AskedText(NamedTuple):
    """What can be read of an item: its kind, all turns, the options offered, and the right answer."""

    kind: str
    text: str
    options: Sequence[str]
    right: str


def guess_surplus(items: Iterable[AskedText]) -> float | None:
    """How far the best guess exceeds chance in the kind in which it does so most: the lower bound of the 95 % interval
    of its accuracy, minus chance. None without items.

    Each item is guessed from all other items of its kind: by the commonest answer, by the words of the question (naive
    Bayes), and by how often an option is right where it is offered. Chance is one of the options, or of the different
    answers, of which there are at least two.
    """
    by_kind: dict[str, list[AskedText]] = {}
    for item in items:
        by_kind.setdefault(item.kind, []).append(item)
    return max((_surplus(of_kind) for of_kind in by_kind.values()), default=None)


def _surplus(items: Sequence[AskedText]) -> float:
    labels = [_label(item) for item in items]
    offered = [len(item.options) or max(_FEWEST_LABELS, len(set(labels))) for item in items]
    chance = sum(1 / count for count in offered) / len(items)
    best = max(_by_frequency(labels), _by_words(items, labels), _by_options(items))
    return wilson_interval(best, len(items))[0] - chance


def _label(item: AskedText) -> str:
    """The right answer, or its place among the options."""
    return str([*item.options].index(item.right)) if item.right in item.options else item.right


def _by_frequency(labels: Sequence[str]) -> int:
    counts = Counter(labels)
    return sum(max(counts, key=lambda other: counts[other] - (other == label)) == label for label in labels)


def _by_words(items: Sequence[AskedText], labels: Sequence[str]) -> int:
    texts = [set(words_of(item.text)) for item in items]
    totals = Counter(labels)
    holding = Counter((label, word) for label, words in zip(labels, texts, strict=True) for word in words)

    def likelihood(label: str, own: str, words: set[str]) -> float:
        count = totals[label] - (label == own)
        if not count:
            return -math.inf
        shares = ((holding[label, word] - (label == own) + 0.5) / (count + 1) for word in words)
        return math.log(count) + sum(map(math.log, shares))

    return sum(
        max(totals, key=lambda label: likelihood(label, own, words)) == own
        for own, words in zip(labels, texts, strict=True)
    )


def _by_options(items: Sequence[AskedText]) -> int:
    rights = Counter(item.right for item in items)
    offers = Counter(option for item in items for option in item.options)

    def share(option: str, item: AskedText) -> float:
        return (rights[option] - (option == item.right) + 0.5) / offers[option]

    return sum(
        max(item.options, key=lambda option: share(option, item)) == item.right for item in items if item.options
    )
