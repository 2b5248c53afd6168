"""How small a gain can be shown, against enumeration, simulation and a published formula."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stablellava_assets.evaluation.scoreboard import scoreboard
from stablellava_assets.evaluation.scores.power import (
    POWER,
    detectable_gain,
    independent_discordance,
    needed_items,
    power_of,
)
from stablellava_assets.evaluation.scores.scoring import score_answers
from stablellava_assets.evaluation.scores.statistics import SIGNIFICANCE, paired_p_value
from stablellava_assets.evaluation.scores.verdicts import could_not_show
from stablellava_assets_tests.evaluation.answers import answers
from stablellava_assets_tests.tables.made_up import Row, but


@pytest.mark.parametrize(("gain", "discordance", "level"), [(0.4, 0.6, 0.05), (0.5, 0.5, 0.05), (0.3, 0.7, 0.01)])
def test_power_is_that_of_the_test_behind_the_verdicts(gain: float, discordance: float, level: float) -> None:
    n, won, lost = 14, (discordance + gain) / 2, (discordance - gain) / 2
    shown = math.fsum(
        math.comb(n, wins)
        * math.comb(n - wins, losses)
        * won**wins
        * lost**losses
        * (1 - won - lost) ** (n - wins - losses)
        for wins in range(n + 1)
        for losses in range(n - wins + 1)
        if wins > losses and paired_p_value([1] * wins + [-1] * losses) < level
    )
    assert power_of(n, gain, discordance, level) == pytest.approx(shown, abs=1e-9)


def test_as_many_items_as_are_asked_for_show_the_gain_four_times_in_five() -> None:
    gain, discordance = 0.1, 0.25
    n = needed_items(gain, discordance)
    assert n is not None
    drawn = np.random.default_rng(0).multinomial(
        n, [(discordance + gain) / 2, (discordance - gain) / 2, 1 - discordance], size=4000
    )
    shown = [wins > losses and paired_p_value([1] * wins + [-1] * losses) < SIGNIFICANCE for wins, losses, _ in drawn]
    assert np.mean(shown) == pytest.approx(POWER, abs=0.025)
    assert power_of(n - 1, gain, discordance) < POWER <= power_of(n, gain, discordance)


@pytest.mark.parametrize(("gain", "discordance"), [(0.05, 0.2), (0.1, 0.3), (0.02, 0.1)])
def test_the_exact_test_needs_a_little_more_than_connors_formula(gain: float, discordance: float) -> None:
    formula = (1.959964 * math.sqrt(discordance) + 0.841621 * math.sqrt(discordance - gain**2)) ** 2 / gain**2
    n = needed_items(gain, discordance)
    assert n is not None
    assert formula < n < 1.1 * formula


def test_a_corrected_level_and_more_disagreement_need_more_items() -> None:
    numbers = [needed_items(0.05, *rest) for rest in ((0.1,), (0.1, 0.05 / 14), (0.3, 0.05 / 14))]
    assert numbers == sorted(number for number in numbers if number is not None)
    with pytest.raises(ValueError, match="no gain"):
        needed_items(0, 0.1)


def test_the_detectable_gain_is_the_smallest_that_so_many_items_show() -> None:
    gain = detectable_gain(150, 0.2, 0.05 / 14)
    assert gain is not None
    assert power_of(150, gain - 2e-4, 0.2, 0.05 / 14) < POWER <= power_of(150, gain, 0.2, 0.05 / 14)
    assert detectable_gain(5, 0.2) is None, "five items prove nothing at all: 2 / 2^5 > 0.05"
    # Where the models hardly ever disagree, a gain is all that they disagree by: of 50 items, 8 must change.
    assert detectable_gain(50, 0.0) == pytest.approx(0.155, abs=0.01)


def test_models_that_err_independently_disagree_most() -> None:
    assert independent_discordance(0.5, 0.0) == 0.5
    assert independent_discordance(0.9, 0.05) == pytest.approx(0.9 * 0.05 + 0.95 * 0.1)
    assert independent_discordance(0.98, 0.05) == pytest.approx(0.02), "no model is right more often than always"


def _tuned(rows: list[Row]) -> dict[str, Row]:
    return {
        row["ability"]: row for row in score_answers(rows) if (row["model"], row["question_kind"]) == ("tuned", "all")
    }


def test_scores_tell_what_their_items_could_have_shown_at_the_corrected_level() -> None:
    few, many = answers("01" * 10, "11" * 10, "color"), answers("01" * 60, "10" * 60, "plant")
    scores = _tuned(few + many)
    assert (scores["color"]["verdict"], scores["plant"]["verdict"]) == ("better", "no difference shown")
    assert scores["plant"]["discordance"] == 1.0
    assert scores["plant"]["effective_items"] == 120
    # The other ability is shown, so that Holm compares this one with the whole of the significance level.
    assert scores["plant"]["detectable_gain"] == detectable_gain(120, 1.0)
    more = _tuned(few + many + answers("01", "01", "scene"))
    assert more["plant"]["detectable_gain"] == detectable_gain(120, 1.0, 0.025)
    assert (more["scene"]["detectable_gain"], more["scene"]["verdict"]) == (None, "no difference shown")
    assert more["all"]["detectable_gain"] == detectable_gain(142, 130 / 142)


def test_items_that_share_an_image_show_less() -> None:
    apart = answers("0011" * 10, "0101" * 10, "color")
    shared = [but(row, picture=f"picture {number // 4 // 2}") for number, row in enumerate(apart)]
    alone, together = _tuned(apart)["color"], _tuned(shared)["color"]
    assert together["effective_items"] <= alone["effective_items"] == 40


def test_the_table_names_the_abilities_whose_items_are_too_few() -> None:
    rows = score_answers(answers("01" * 10, "11" * 10, "color") + answers("01" * 60, "10" * 60, "plant"))
    shown = scoreboard(rows, markdown=True, wanted_gain=0.2)
    assert "| p (Holm) | could show | verdict |" in shown
    assert "| no difference shown † |" in shown.partition("| plant |")[2].partition("\n")[0]
    assert "† too few items to show +0.2" in shown
    assert "too few items" not in scoreboard(rows, markdown=True, wanted_gain=0.5)
    plant = next(row for row in rows if (row["ability"], row["model"]) == ("plant", "tuned"))
    assert could_not_show(plant, 0.2)
    assert not could_not_show(plant, 0.5)


def test_scores_of_an_earlier_version_say_nothing_of_power() -> None:
    earlier: list[Row] = [
        but(row, effective_items=None, discordance=None, detectable_gain=None)
        for row in score_answers(answers("01", "10", "animal"))
    ]
    assert "too few items" not in scoreboard(earlier, markdown=True)
