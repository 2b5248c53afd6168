"""Intervals and tests against published values, and what they promise against enumeration."""

from __future__ import annotations

import itertools
import math

import pytest

from stablellava_assets.evaluation.scores.statistics import (
    design_effect,
    holm,
    paired_difference,
    paired_p_value,
    verdict,
    wilson_interval,
)


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


def test_one_item_a_picture_is_mcnemars_test() -> None:
    assert paired_p_value([]) == paired_p_value([0, 0]) == 1.0
    assert paired_p_value([1, -1] * 5) == 1.0
    assert paired_p_value([1] * 8) == paired_p_value([-1] * 8) == 2 / 2**8
    # 2 * (1 + 10 + 45) / 2^10
    assert paired_p_value([1] * 2 + [-1] * 8 + [0] * 90) == pytest.approx(2 * 56 / 1024)


@pytest.mark.parametrize("gained", [[2, -1, 3], [1, 1, 1, -1, 2], [3, 3, 3, 3, -1, 0, 2], [6, 6]])
def test_several_items_a_picture_are_tested_by_turning_whole_pictures(gained: list[int]) -> None:
    sizes = [number for number in gained if number]
    as_far = [
        abs(sum(sign * size for sign, size in zip(signs, sizes, strict=True))) >= abs(sum(sizes))
        for signs in itertools.product((1, -1), repeat=len(sizes))
    ]
    assert paired_p_value(gained) == pytest.approx(sum(as_far) / len(as_far))


def test_items_that_go_together_count_as_one() -> None:
    assert design_effect([[0], [1], [1]]) == 1.0
    # Every picture's items alike, as many right as wrong: the pictures are all there is, up to the n - 1 of a sample.
    pictures = [[1, 1, 1]] * 50 + [[0, 0, 0]] * 50
    assert design_effect(pictures) == pytest.approx(3 * 100 / 99)
    assert design_effect([[1, 0]] * 10) == 1.0, "items that balance each other count for no more than they are"
    assert design_effect([[1, 1], [1, 1]]) == design_effect([[1, 0]]) == 2.0


def test_no_items_have_no_interval() -> None:
    with pytest.raises(ValueError, match="n"):
        wilson_interval(0, 0)
    with pytest.raises(ValueError, match="0 and 0 of 0 items"):
        paired_difference(0, 0, 0)


def test_a_paired_difference_counts_what_only_one_of_two_answers() -> None:
    assert paired_difference(1, 7, 21).estimate == pytest.approx(6 / 21)
    one_way, other_way = paired_difference(2, 9, 50), paired_difference(9, 2, 50)
    assert (one_way.low, one_way.high) == pytest.approx((-other_way.high, -other_way.low))
    assert one_way.low < one_way.estimate < one_way.high


def test_models_that_never_disagree_may_still_differ() -> None:
    same = paired_difference(0, 0, 50)
    assert same.estimate == 0
    assert -0.1 < same.low < 0 < same.high < 0.1
    assert paired_difference(0, 3, 3).high == 1


@pytest.mark.parametrize(
    ("n", "only_first", "only_second"), [(20, 0.05, 0.3), (50, 0.1, 0.1), (50, 0.02, 0.4), (150, 0.0, 0.05)]
)
def test_nineteen_of_twenty_intervals_hold_the_true_difference(n: int, only_first: float, only_second: float) -> None:
    """Over every outcome that could be, weighted by how likely it is."""
    held = 0.0
    for first in range(n + 1):
        for second in range(n + 1 - first):
            interval = paired_difference(first, second, n)
            if interval.low <= only_second - only_first <= interval.high:
                ways = math.comb(n, first) * math.comb(n - first, second)
                neither = (1 - only_first - only_second) ** (n - first - second)
                held += ways * only_first**first * only_second**second * neither
    assert held >= 0.94


def test_holm_of_a_known_family() -> None:
    # Holm's steps by hand: 4 * 0.005, 3 * 0.01, 2 * 0.03, 1 * 0.04; never below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []


def test_better_is_said_where_the_correction_leaves_it_significant() -> None:
    assert verdict(0.1, 0.049) == "better"
    assert verdict(-0.1, 0.049) == "worse"
    assert verdict(0.1, 0.05) == verdict(-0.1, 1) == "no difference shown"
