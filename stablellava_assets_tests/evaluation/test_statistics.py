"""Intervals and tests against published values."""

from __future__ import annotations

import pytest

from stablellava_assets.evaluation.statistics import mcnemar_p_value, wilson_interval


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval(correct: int, n: int, low: float, high: float) -> None:
    assert list(wilson_interval(correct, n)) == pytest.approx([low, high], abs=1e-4)


def test_mcnemar_p_value() -> None:
    assert mcnemar_p_value(0, 0) == 1.0
    assert mcnemar_p_value(5, 5) == 1.0
    assert mcnemar_p_value(0, 8) == mcnemar_p_value(8, 0) == 2 / 2**8
    # 2 * (1 + 10 + 45) / 2^10
    assert mcnemar_p_value(2, 8) == pytest.approx(2 * 56 / 1024)


def test_no_items_have_no_interval() -> None:
    with pytest.raises(ValueError, match="n"):
        wilson_interval(0, 0)
