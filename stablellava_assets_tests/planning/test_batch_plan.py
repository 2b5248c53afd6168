"""Rows go where the scores say that something is lacking: within bounds, none lost, the same each time."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from stablellava_assets.planning.allocation import allocate
from stablellava_assets.planning.batch_plan import BatchPlan, plan_batch
from stablellava_assets.planning.evidence import Evidence
from stablellava_assets.planning.settings import PlanningSettings
from stablellava_assets_tests.tables.made_up import but


def sizes(plan: BatchPlan) -> dict[str, int]:
    return {row["ability"]: row["rows"] for row in plan.rows}


def plan(*evidence: Evidence, rows: int = 100, **bounds: Any) -> BatchPlan:
    return plan_batch("0002", evidence, PlanningSettings(**bounds), rows, "checkpoint")


@pytest.mark.parametrize("seed", range(40))
def test_no_row_is_lost_and_no_bound_broken(seed: int) -> None:
    generator = random.Random(seed)
    weights = {f"ability {at}": generator.lognormvariate(0, 3) for at in range(generator.randint(1, 20))}
    usual = generator.randint(1, 1000)
    least, most = max(1, usual // 2), usual * 2
    rows = allocate(weights, usual * len(weights), least, most)
    assert sum(rows.values()) == usual * len(weights)
    assert all(least <= count <= most for count in rows.values())
    by_weight = sorted(weights, key=lambda name: weights[name])
    assert all(rows[one] <= rows[other] + 1 for one, other in itertools.pairwise(by_weight))
    backwards = dict(reversed(weights.items()))
    assert allocate(backwards, usual * len(weights), least, most) == rows


def test_within_the_bounds_rows_are_proportional_to_the_weights() -> None:
    assert allocate({"a": 1, "b": 2, "c": 3}, 600, 1, 600) == {"a": 100, "b": 200, "c": 300}


def test_what_a_bound_takes_goes_to_the_others_by_weight() -> None:
    assert allocate({"a": 100, "b": 1, "c": 2}, 300, 1, 150) == {"a": 150, "b": 50, "c": 100}


def test_bounds_without_room_and_weights_without_meaning_are_refused() -> None:
    with pytest.raises(ValueError, match="300 rows cannot be allocated"):
        allocate({"a": 1, "b": 1}, 300, 1, 100)
    with pytest.raises(ValueError, match="b: the weight nan"):
        allocate({"a": 1, "b": float("nan")}, 100, 1, 100)


def test_what_is_answered_worse_gets_more() -> None:
    rows = sizes(plan(Evidence("good", 150, 145, 100, 100), Evidence("weak", 150, 100, 100, 100)))
    assert rows["weak"] > 100 > rows["good"]


def test_fewer_questions_leave_more_doubt() -> None:
    rows = sizes(plan(Evidence("doubtful", 20, 19, 100, 100), Evidence("sure", 2000, 1900, 100, 100)))
    assert rows["doubtful"] > rows["sure"]


def test_a_low_yield_is_made_up_for() -> None:
    half, all_kept = Evidence("half", 150, 120, 400, 200), Evidence("whole", 150, 120, 400, 400)
    assert sizes(plan(half, all_kept, rows=150)) == {"half": 200, "whole": 100}


@pytest.mark.parametrize("kept", [0, 1])
def test_what_the_filters_empty_is_bounded(kept: int) -> None:
    empty, usual = Evidence("empty", 150, 120, 400, kept), Evidence("usual", 150, 120, 400, 400)
    assert sizes(plan(empty, usual, min_factor=0.7, max_factor=1.2)) == {"empty": 120, "usual": 80}


def test_what_was_neither_scored_nor_filtered_counts_as_unknown() -> None:
    made = plan(Evidence("known", 150, 120, 400, 400), Evidence("new"))
    assert sizes(made) == {"known": 50, "new": 150}
    assert made.explanation_of("new") == (
        "new was not scored in benchmark ai yet, so that nothing counts as known; nothing of it was filtered yet: "
        "150 rows, 1.50 times the usual."
    )


def test_without_a_mistake_everywhere_all_are_alike() -> None:
    perfect = [Evidence(name, 10**9, 10**9, 400, 400) for name in ("a", "b")]
    assert sizes(plan(*perfect)) == {"a": 100, "b": 100}


def test_a_plan_explains_itself() -> None:
    made = plan(Evidence("good", 150, 150, 400, 396), Evidence("weak", 150, 30, 400, 400))
    assert made.explanation_of("good") == (
        "good: 150 of 150 answered right in benchmark ai, a share of at least 0.975; 0.990 of its dialogues were kept: "
        "50 rows, 0.50 times the usual, the least."
    )


def test_a_plan_names_the_benchmark_that_it_was_made_from() -> None:
    made = plan(Evidence("good", 150, 150), Evidence("weak", 150, 30), benchmark="photos")
    assert str(made.explanation_of("weak")).startswith("weak: 30 of 150 answered right in benchmark photos, ")
    assert {row["benchmark"] for row in made.rows} == {"photos"}


def test_an_explanation_tells_the_rows_of_now() -> None:
    made = plan(Evidence("good", 150, 150), Evidence("weak", 150, 30))
    grown = BatchPlan(made.batch, made.rows, {"good": 200, "weak": 200})
    assert grown.rows_of("weak") == 300
    assert grown.explanation_of("weak") == (
        "weak: 30 of 150 answered right in benchmark ai, a share of at least 0.144; nothing of it was filtered yet: "
        "300 rows, 1.50 times the usual. Planned as 150 rows when rows_per_batch was 100."
    )


def test_a_plan_of_an_earlier_version_explains_itself() -> None:
    new = ("benchmark", "least", "most", "begun")
    made = plan(Evidence("good", 150, 150), Evidence("weak", 150, 30))
    usual = {"good": 100, "weak": 100}
    earlier = BatchPlan(made.batch, [but(row, **dict.fromkeys(new)) for row in made.rows], usual)
    assert earlier.explanation_of("good") == (
        "good: 150 of 150 answered right, a share of at least 0.975; nothing of it was filtered yet: "
        "50 rows, 0.50 times the usual."
    )
    begun = BatchPlan(made.batch, [{**row, "weight": None} for row in earlier.rows], usual)
    assert begun.explanation_of("good") == (
        "good was begun before this batch was planned: it keeps its prompts, 50 rows."
    )
