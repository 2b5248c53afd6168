"""Allocates a number of rows by weight, within bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping

_HALVINGS = 200
"""Enough to narrow any interval of floats to adjacent values."""


def allocate(weights: Mapping[str, float], total: int, least: int, most: int) -> dict[str, int]:
    """Allocate ``total`` rows in proportion to ``weights``, with ``least`` to ``most`` each.

    The real-valued amounts are ``clip(level * weight, least, most)`` for the one level at which they add up to
    ``total``. They are rounded by largest remainder, ties in alphabetical order. The same weights give the same rows.

    Raises:
        ValueError: a weight is not positive and finite, or the bounds do not allow ``total``.
    """
    if wrong := [name for name, weight in weights.items() if not (math.isfinite(weight) and weight > 0)]:
        raise ValueError(f"{wrong[0]}: the weight {weights[wrong[0]]} is not a positive number")
    if not least * len(weights) <= total <= most * len(weights):
        raise ValueError(f"{total} rows cannot be allocated as {least} to {most} for each of {len(weights)}")
    if not weights:
        return {}
    shares = _shares(weights, total, least, most)
    rows = {name: math.floor(share) for name, share in shares.items()}
    by_remainder = sorted(rows, key=lambda name: (rows[name] - shares[name], name))
    left = total - sum(rows.values())
    while left:
        for name in by_remainder:
            if left and rows[name] < most:
                rows[name] += 1
                left -= 1
    return {name: rows[name] for name in weights}


def _shares(weights: Mapping[str, float], total: int, least: int, most: int) -> dict[str, float]:
    def at(level: float) -> dict[str, float]:
        return {name: min(max(level * weight, least), most) for name, weight in weights.items()}

    low, high = 0.0, most / min(weights.values())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        # fsum does not depend on the order of the abilities.
        low, high = (middle, high) if math.fsum(at(middle).values()) <= total else (low, middle)
    return at(low)
