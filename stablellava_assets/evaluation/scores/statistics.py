"""Intervals and tests for 0/1 scores, and what may be said of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BETTER, WORSE, UNDECIDED = "better", "worse", "no difference shown"

SIGNIFICANCE = 0.05
"""How often, at most, "better" or "worse" is said of any of a family of abilities none of which changed."""

_Z = 1.959963984540054
"""The normal distribution's 97.5 % quantile: 95 % lie within it on both sides."""


@dataclass(frozen=True)
class Difference:
    """Accuracy of the second model minus that of the first, with its 95 % interval."""

    estimate: float
    low: float
    high: float


def wilson_interval(correct: float, n: float) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson, 1927), as (low, high).

    Args:
        correct: items answered right.
        n: items; fewer than there are, and not a whole number, where pictures were asked about more than once (see
            :func:`design_effect`).

    Raises:
        ValueError: ``n`` is not positive, or ``correct`` is not in 0..n.
    """
    if n <= 0 or not 0 <= correct <= n:
        raise ValueError(f"{correct} of {n} is no share")
    share, weight = correct / n, _Z**2 / n
    middle = (share + weight / 2) / (1 + weight)
    half = _Z / (1 + weight) * math.sqrt(share * (1 - share) / n + weight / (4 * n))
    return max(0.0, middle - half) if correct else 0.0, min(1.0, middle + half) if correct < n else 1.0


def design_effect(by_picture: Iterable[Sequence[float]]) -> float:
    """How many items about shared pictures tell as much as one about a picture of its own (Kish, 1965).

    The variance of a mean over items that come in pictures, by the sums of each picture, to that of as many independent
    ones; never below 1, and 1 where every picture was asked about once. Where all items are alike, which leaves no
    variance to compare, it is the number of items a picture: each picture counts once.

    Args:
        by_picture: the values of the items, a sequence a picture.
    """
    pictures = [list(values) for values in by_picture]
    values = [value for of_picture in pictures for value in of_picture]
    if len(values) == len(pictures):
        return 1.0
    mean = sum(values) / len(values)
    independent = sum((value - mean) ** 2 for value in values)
    if len(pictures) == 1 or independent == 0:
        return len(values) / len(pictures)
    shared = sum((sum(of_picture) - mean * len(of_picture)) ** 2 for of_picture in pictures)
    return max(1.0, shared / independent * len(pictures) / (len(pictures) - 1))


def paired_p_value(gained: Iterable[int]) -> float:
    """The two-sided exact test that neither of two models answers more: were every sign of these numbers drawn by a coin,
    how often would their sum be as far from 0?

    With one item a picture this is the exact McNemar test. With more it is Fisher's randomization test over pictures, which
    takes only pictures for independent.

    Args:
        gained: for each picture, the items that only the second model answers right less those that only the first does.

    Returns:
        The p-value; 1 where the models never disagree, as then nothing speaks against their being equal.
    """
    sizes = [number for number in gained if number]
    if all(abs(number) == 1 for number in sizes):
        from scipy.stats import binomtest

        return float(binomtest(sizes.count(1), len(sizes), 0.5).pvalue) if sizes else 1.0
    import numpy as np

    reach = sum(map(abs, sizes))
    # chances[reach + s]: how likely the numbers so far have the sum s.
    chances = np.zeros(2 * reach + 1)
    chances[reach] = 1.0
    for size in map(abs, sizes):
        chances = (np.roll(chances, size) + np.roll(chances, -size)) / 2
    sums = np.abs(np.arange(-reach, reach + 1))
    return float(min(1.0, chances[sums >= abs(sum(sizes))].sum()))


def paired_difference(only_first: float, only_second: float, n: float) -> Difference:
    """How much more often the second model is right over ``n`` items that both answered.

    The interval is Bonett and Price's adjusted Wald interval for paired proportions (2012, Journal of Educational and
    Behavioral Statistics 37), one of the three that Fagerland, Lydersen and Laake recommend (2014, Statistics in
    Medicine 33); it is wider than the sample alone would make it, and never empty. As in :func:`wilson_interval`, items about
    shared pictures count as fewer.

    Raises:
        ValueError: there are fewer items than disagreements, or none.
    """
    if n <= 0 or only_first + only_second > n * (1 + 1e-9) or min(only_first, only_second) < 0:
        raise ValueError(f"{only_first} and {only_second} of {n} items cannot be disagreements")
    first, second = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    middle = second - first
    half = _Z * math.sqrt((first + second - middle**2) / (n + 2))
    return Difference((only_second - only_first) / n, max(-1.0, middle - half), min(1.0, middle + half))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of one family of tests, each raised so that the least of them still keeps its promise (Holm, 1979).

    Whoever calls those below 0.05 significant is wrong about any of the family in at most one of twenty families.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def verdict(difference: float, p_holm: float) -> str:
    """``better`` or ``worse`` where the adjusted p-value is below 0.05, else ``no difference shown``."""
    if p_holm >= SIGNIFICANCE:
        return UNDECIDED
    return BETTER if difference > 0 else WORSE
