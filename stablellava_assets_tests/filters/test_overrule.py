"""People have the last word: what a decision does to a verdict, to other pairs, and to the next run."""

from __future__ import annotations

from stablellava_assets.filters.judge import Judged
from stablellava_assets.filters.review.overrule import was_overruled, was_reviewed
from stablellava_assets.filters.review.reviews import Decision, Review
from stablellava_assets.filters.rules.examine import settings_key
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.tables.schemas import FILTERED_PAIRS
from stablellava_assets_tests.filters.pairs import NO_BENCHMARK, candidate, judge
from stablellava_assets_tests.tables.made_up import Row, but
from stablellava_assets_tests.verdicts import explanations, notes, reasons

PAIRS = [candidate("first"), candidate("second"), candidate("tram", prompt="((tram)), street", subject="tram")]
"""The second repeats the first; the third speaks of a koala where a tram is shown."""


def decided(pair_id: str, decision: Decision, note: str = "") -> dict[str, Review]:
    return {pair_id: Review(pair_id=pair_id, decision=decision, reviewer="Ada", note=note)}


def verdicts(reviews: dict[str, Review], previous: list[Row] | None = None) -> Judged:
    return judge(PAIRS, [], NO_BENCHMARK, FilterSettings(), previous or (), reviews=reviews)


def stored(judged: Judged) -> list[Row]:
    rows: list[Row] = FILTERED_PAIRS.from_rows([but(row, run_id="run") for row in judged.rows]).to_pylist()
    return rows


def test_without_decisions_the_rules_decide() -> None:
    judged = verdicts({})
    assert [reasons(row) for row in judged.rows] == [[], ["repeated_prompt"], ["subject_not_named"]]
    assert not any(was_reviewed(row) or was_overruled(row) for row in judged.rows)


def test_a_rejected_pair_is_kept_and_the_finding_stays_on_record() -> None:
    row = verdicts(decided("tram", "keep", "the tram is behind the koala")).rows[2]
    assert (reasons(row), explanations(row)) == ([], [])
    assert notes(row) == [
        "overruled subject_not_named: No word of the answer is a form of 'tram'.",
        "kept_by_review: Ada decided so: the tram is behind the koala",
    ]
    assert was_overruled(row)


def test_a_kept_pair_is_rejected_and_what_repeated_it_is_kept_instead() -> None:
    first, second, _ = verdicts(decided("first", "reject", "blurred")).rows
    assert reasons(first) == ["rejected_by_review"]
    assert explanations(first) == ["Ada decided so: blurred"]
    assert was_overruled(first)
    assert reasons(second) == []


def test_a_decision_that_agrees_with_the_rules_is_recorded_too() -> None:
    kept = verdicts(decided("first", "keep")).rows[0]
    assert (reasons(kept), notes(kept)) == ([], ["kept_by_review: Ada decided so."])
    rejected = verdicts(decided("tram", "reject")).rows[2]
    assert reasons(rejected) == ["subject_not_named", "rejected_by_review"]
    for row in (kept, rejected):
        assert was_reviewed(row)
        assert not was_overruled(row)


def test_only_verdicts_that_a_decision_concerns_change() -> None:
    before, after = verdicts({}), verdicts(decided("tram", "keep"))
    assert after.rows[:2] == before.rows[:2]
    assert [row["row_key"] for row in after.rows] == [row["row_key"] for row in before.rows]


def test_nothing_is_looked_at_again_and_a_withdrawn_decision_leaves_no_trace() -> None:
    reviews = decided("tram", "keep") | decided("first", "reject") | decided("second", "keep")
    plain = verdicts({})
    reviewed = verdicts(reviews, stored(plain))
    again = verdicts(reviews, stored(reviewed))
    withdrawn = verdicts({}, stored(again))
    assert (reviewed.reused, again.reused, withdrawn.reused) == (3, 3, 3)
    assert again.rows == reviewed.rows
    assert withdrawn.rows == plain.rows


def test_files_of_decisions_are_part_of_no_row_key() -> None:
    assert settings_key(FilterSettings.model_validate({"reviews": ["ada.csv"]})) == settings_key(FilterSettings())
