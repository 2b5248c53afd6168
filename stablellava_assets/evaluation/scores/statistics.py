"""Confidence intervals and tests for 0/1 scores."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BETTER, WORSE, UNDECIDED = "better", "worse", "no difference shown"

SIGNIFICANCE = 0.05
"""Family-wise error rate of the verdicts "better" and "worse"."""

_Z = 1.959963984540054
"""The 97.5 % quantile of the normal distribution, for two-sided 95 % intervals."""


@dataclass(frozen=True)
class Difference:
    """Accuracy of the second model minus that of the first, with its 95 % interval."""

    estimate: float
    low: float
    high: float


def wilson_interval(correct: float, n: float) -> tuple[float, float]:
    """The 95 % score interval of a proportion (Wilson, 1927), as (low, high).

    Args:
        correct: number of items answered right.
        n: number of items, or the smaller effective number (possibly fractional) if several are about one image (see
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
    """How many items about shared images carry as much information as one independent item (Kish, 1965).

    The ratio of the variance of the mean, estimated from the sums per image, to that of as many independent items. It
    is at least 1, and exactly 1 if every image has one item. If all items are equal, so that there is no variance to
    compare, it is the number of items per image: each image counts once.

    Args:
        by_picture: the values of the items, one sequence per image.
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
    """The two-sided exact test of the hypothesis that neither model is more accurate: the probability that the sum of
    these numbers is at least as far from 0 if each sign is random.

    With one item per image this is the exact McNemar test. With more it is Fisher's randomization test over images,
    which assumes only that images are independent.

    Args:
        gained: for each image, the number of items that only the second model answers right minus those that only the
            first does.

    Returns:
        The p-value; 1 if the models never disagree.
    """
    sizes = [number for number in gained if number]
    if all(abs(number) == 1 for number in sizes):
        from scipy.stats import binomtest

        return float(binomtest(sizes.count(1), len(sizes), 0.5).pvalue) if sizes else 1.0
    import numpy as np

    reach = sum(map(abs, sizes))
    # chances[reach + s]: probability that the numbers so far sum to s.
    chances = np.zeros(2 * reach + 1)
    chances[reach] = 1.0
    for size in map(abs, sizes):
        chances = (np.roll(chances, size) + np.roll(chances, -size)) / 2
    sums = np.abs(np.arange(-reach, reach + 1))
    return float(min(1.0, chances[sums >= abs(sum(sizes))].sum()))


def paired_difference(only_first: float, only_second: float, n: float) -> Difference:
    """The difference in accuracy over ``n`` items that both models answered.

    The interval is Bonett and Price's adjusted Wald interval for paired proportions (2012, Journal of Educational and
    Behavioral Statistics 37), one of three recommended by Fagerland, Lydersen and Laake (2014, Statistics in
    Medicine 33). It is never empty. As in :func:`wilson_interval`, items about shared images count as fewer.

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
    """Adjust the p-values of one family of tests for multiple comparisons (Holm, 1979).

    Calling those below 0.05 significant keeps the family-wise error rate at 5 %.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def verdict(difference: float, p_holm: float) -> str:
    """``better`` or ``worse`` if the adjusted p-value is below 0.05, else ``no difference shown``."""
    if p_holm >= SIGNIFICANCE:
        return UNDECIDED
    return BETTER if difference > 0 else WORSE
