"""How small a gain a benchmark can show: the power of the test behind the verdicts.

A verdict rests on the exact McNemar test. Its power is exact as well: that of the binomial test given the number of
discordant items, averaged over that number (Duffy, 1984, "Asymptotic and exact power for the McNemar test and its
analogue with R controls per case", Biometrics 40). The search for a number of items begins at the normal approximation
(Connor, 1987, "Sample size for testing differences in proportions for the paired-sample design", Biometrics 43).

An item is discordant if only one of the two models answers it right. The share of such items decides more than
accuracy does: models that differ on every third item need more items to be told apart than models that differ on every
tenth.
"""

from __future__ import annotations

import math
from functools import lru_cache

from stablellava_assets.evaluation.scores.statistics import SIGNIFICANCE

POWER = 0.8
"""Chance with which a gain is to be shown, if it is there."""
WANTED_GAIN = 0.05
"""Default of ``benchmark.wanted_gain``."""

_NEGLIGIBLE = 1e-9
_MOST_ITEMS = 10_000_000
_STEP = 1e-4


def independent_discordance(accuracy: float, gain: float) -> float:
    """The share of discordant items if two models answered independently of each other, given their accuracies.

    Models that are right and wrong on the same items more often than by chance, as a base and what was tuned from it
    are, have fewer. So it is a cautious assumption where nothing was measured.

    Args:
        accuracy: that of the first model.
        gain: accuracy of the second minus that of the first; cut to what is possible.
    """
    after = min(1.0, max(0.0, accuracy + gain))
    return accuracy * (1 - after) + after * (1 - accuracy)


@lru_cache(maxsize=4096)
def power_of(n: int, gain: float, discordance: float, level: float = SIGNIFICANCE) -> float:
    """The chance that a gain is shown: that the exact McNemar test rejects in its direction.

    Args:
        n: number of independent items.
        gain: the true difference in accuracy, above 0.
        discordance: the true share of items that only one of the two models answers right. Where it is below ``gain``,
            which it cannot be, it is ``gain``.
        level: two-sided significance level of the test.
    """
    import numpy as np
    from scipy.stats import binom

    share = min(1.0, max(discordance, gain))
    low, high = (int(binom.ppf(quantile, n, share)) for quantile in (_NEGLIGIBLE, 1 - _NEGLIGIBLE))
    discordant = np.arange(max(low, 1), high + 1)
    # More than this many of the discordant items must speak for the second model.
    below = binom.isf(level / 2, discordant, 0.5)
    rejecting = binom.sf(below, discordant, min(1.0, (1 + gain / share) / 2))
    return float((binom.pmf(discordant, n, share) * rejecting).sum())


def detectable_gain(n: int, discordance: float, level: float = SIGNIFICANCE) -> float | None:
    """The smallest gain that ``n`` items show with a chance of ``POWER``, to four decimals; None if there is none.

    Other arguments as for :func:`power_of`.
    """
    low, high = 0, round(1 / _STEP)
    if power_of(n, 1.0, discordance, level) < POWER:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(n, middle * _STEP, discordance, level) >= POWER else (middle, high)
    return round(high * _STEP, 4)


def needed_items(gain: float, discordance: float, level: float = SIGNIFICANCE) -> int | None:
    """The number of independent items that show ``gain`` with a chance of ``POWER``; arguments as for :func:`power_of`.

    None if even ten million do not.

    Raises:
        ValueError: ``gain`` is not in 0 to 1.
    """
    from scipy.stats import norm

    if not 0 < gain <= 1:
        raise ValueError(f"{gain} is no gain in accuracy")
    share = max(discordance, gain)
    scale = float(norm.isf(level / 2)) * math.sqrt(share) + float(norm.isf(1 - POWER)) * math.sqrt(share - gain**2)
    low, high = 0, max(1, math.ceil((scale / gain) ** 2))
    while power_of(high, gain, discordance, level) < POWER:
        low, high = high, math.ceil(high * 1.1) + 1
        if high > _MOST_ITEMS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(middle, gain, discordance, level) >= POWER else (middle, high)
    return high
