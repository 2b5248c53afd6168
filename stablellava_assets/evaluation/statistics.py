"""Intervals and tests for 0/1 scores."""

from __future__ import annotations


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
