"""What the scores say of a dozen abilities that are tested at once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from stablellava_assets.evaluation.scores.scoring import score_answers
from stablellava_assets_tests.evaluation.answers import answers
from stablellava_assets_tests.tables.made_up import Row, but


def tuned_rows(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    return {(row["ability"], row["question_kind"]): row for row in rows if row["model"] == "tuned"}


def test_one_ability_of_many_needs_more_evidence_than_one_alone() -> None:
    # Six disagreements, all one way: p = 2 / 2^6.
    alone = tuned_rows(score_answers(answers("0" * 6, "1" * 6, "animal")))
    assert alone["animal", "all"]["verdict"] == "better"
    others = [row for number in range(9) for row in answers("01", "10", f"other {number}")]
    among = tuned_rows(score_answers(answers("0" * 6, "1" * 6, "animal") + others))
    assert among["animal", "all"]["p_value"] == alone["animal", "all"]["p_value"] == 2 / 64
    assert among["animal", "all"]["p_holm"] == pytest.approx(10 * 2 / 64)
    assert among["animal", "all"]["verdict"] == "no difference shown"


def test_the_sum_is_a_test_of_its_own() -> None:
    rows = tuned_rows(score_answers([*answers("0" * 8, "1" * 8, "animal"), *answers("01", "10", "color")]))
    assert rows["all", "all"]["p_holm"] == rows["all", "all"]["p_value"]


def test_benchmarks_and_kinds_are_families_of_their_own() -> None:
    one = tuned_rows(score_answers(answers("0" * 6, "1" * 6, "animal")))
    more = score_answers(
        answers("0" * 6, "1" * 6, "animal")
        + answers("0" * 6, "1" * 6, "animal", benchmark="photos")
        + answers("01", "10", "color", benchmark="photos")
    )
    painted = tuned_rows([row for row in more if row["benchmark"] == "ai"])
    assert painted["animal", "what"]["p_holm"] == one["animal", "what"]["p_holm"]


def test_a_model_that_got_worse_is_said_to_be() -> None:
    row = tuned_rows(score_answers(answers("1" * 10, "0" * 10, "animal")))["animal", "all"]
    assert row["verdict"] == "worse"
    assert row["difference"] == -1
    assert row["difference_high"] < 0


def test_nothing_is_said_where_the_models_answered_other_items() -> None:
    base_only = [row for row in answers("01", "11", "animal") if row["model"] == "base"]
    for row in score_answers(base_only):
        assert [row["p_value"], row["p_holm"], row["verdict"], row["difference"]] == [None] * 4


def test_questions_about_one_picture_are_no_independent_witnesses() -> None:
    apart = answers("0" * 6, "1" * 6, "animal")
    shared = [but(row, picture="one") for row in apart]
    alone, together = (tuned_rows(score_answers(rows))["animal", "all"] for rows in (apart, shared))
    assert (alone["verdict"], together["verdict"]) == ("better", "no difference shown")
    assert together["p_value"] == 1.0
    assert together["interval_low"] < alone["interval_low"]
    assert together["difference"] == alone["difference"] == 1.0
    assert together["difference_low"] < alone["difference_low"]
