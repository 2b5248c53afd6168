"""Intervals and tests for 0/1 scores, and what may be said of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
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


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson, 1927), as (low, high).

    Raises:
        ValueError: ``n`` is not positive, or ``correct`` is not in 0..n.
    """
    from scipy.stats import binomtest

    interval = binomtest(correct, n).proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar_p_value(only_first: int, only_second: int) -> float:
    """The two-sided exact McNemar test: of the items that one of two models answers, is it equally often either?

    Args:
        only_first: items that only the first model answers right.
        only_second: items that only the second model answers right.

    Returns:
        The p-value; 1 where the models never disagree, as then nothing speaks against their being equal.
    """
    from scipy.stats import binomtest

    disagreements = only_first + only_second
    if not disagreements:
        return 1.0
    return float(binomtest(only_first, disagreements, 0.5).pvalue)


def paired_difference(only_first: int, only_second: int, n: int) -> Difference:
    """How much more often the second model is right over ``n`` items that both answered.

    The interval is Bonett and Price's adjusted Wald interval for paired proportions (2012, Journal of Educational and
    Behavioral Statistics 37), one of the three that Fagerland, Lydersen and Laake recommend (2014, Statistics in
    Medicine 33); it is wider than the sample alone would make it, and never empty.

    Raises:
        ValueError: there are fewer items than disagreements, or none.
    """
    if n < 1 or only_first + only_second > n or min(only_first, only_second) < 0:
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
