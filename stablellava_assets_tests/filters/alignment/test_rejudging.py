"""What is scored again, what is not, and what is let through."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from stablellava_assets.filters.alignment.models import OwnCheckpoint
from stablellava_assets.filters.candidates import AlignmentVerdict, Candidate
from stablellava_assets.filters.findings import Finding
from stablellava_assets.filters.rules.examine import examination_key, settings_key
from stablellava_assets.filters.settings import AlignmentSettings, FilterSettings
from stablellava_assets_tests.filters.alignment.tiny_scorers import alignment, asks_subject, image, scored, spec
from stablellava_assets_tests.filters.pairs import NO_BENCHMARK, candidate, judge
from stablellava_assets_tests.tables.made_up import but
from stablellava_assets_tests.verdicts import notes, reasons

RED = spec("red umbrella")
PAINTED = [(RED, image("red", RED))]


def newer(checkpoint: OwnCheckpoint) -> OwnCheckpoint:
    return checkpoint._replace(checkpoint_id="89ab")


def test_a_new_checkpoint_leaves_scores_as_they_are_unless_asked(checkpoint: OwnCheckpoint) -> None:
    published = scored(alignment(checkpoint, **asks_subject()), PAINTED)
    (kept,) = alignment(newer(checkpoint), **asks_subject()).plan(PAINTED, published)
    assert kept.row_key == published[0]["row_key"]
    (again,) = alignment(newer(checkpoint), rejudge=True, **asks_subject()).plan(PAINTED, published)
    assert again.row_key != published[0]["row_key"]
    assert again.inputs.model == "llava_checkpoint 89ab"


def test_a_new_picture_is_scored_by_the_new_checkpoint(checkpoint: OwnCheckpoint) -> None:
    published = scored(alignment(checkpoint, **asks_subject()), PAINTED)
    (row,) = alignment(newer(checkpoint), **asks_subject()).plan([(RED, image("blue", RED))], published)
    assert row.inputs.model == "llava_checkpoint 89ab"


def test_without_a_checkpoint_pairs_are_let_through_and_that_is_recorded(checkpoint: OwnCheckpoint) -> None:
    scorer = alignment(None, **asks_subject())
    (row,) = scored(scorer, PAINTED)
    assert (row["score"], row["model"], row["status"]) == (None, None, "failed")
    verdict = scorer.verdicts([row])[row["image_id"]]
    (judged,) = judge([_with(verdict)], [], NO_BENCHMARK, FilterSettings()).rows
    assert reasons(judged) == []
    assert notes(judged) == [
        "alignment_unscored: The subject 'red umbrella' was not scored by facts: no checkpoint available to score "
        "with: llava_checkpoint is empty."
    ]
    (later,) = alignment(checkpoint, **asks_subject()).plan(PAINTED, [row])
    assert later.row_key == row["row_key"]
    (asked_for,) = alignment(checkpoint, rejudge=True, **asks_subject()).plan(PAINTED, [row])
    assert asked_for.inputs.model == "llava_checkpoint 4567"


def test_an_undecodable_picture_and_an_unknown_fact_are_not_scored_and_say_why(checkpoint: OwnCheckpoint) -> None:
    unknown = {**RED, "spec_id": "unknown", "subject": "axolotl", "facts": [{"name": "subject", "value": "axolotl"}]}
    painted = [(RED, image("red", RED, b"nothing")), (unknown, image("red", unknown))]
    reasons = {row["spec_id"]: row["reason"] for row in scored(alignment(checkpoint, **asks_subject()), painted)}
    assert reasons[RED["spec_id"]].startswith("the picture cannot be decoded")
    assert reasons["unknown"].startswith("no ability of the catalog teaches it")


def test_the_verdict_and_its_key_follow_the_thresholds_without_scoring_again(checkpoint: OwnCheckpoint) -> None:
    lenient, strict = alignment(checkpoint, **asks_subject(0.0)), alignment(checkpoint, **asks_subject(1.0))
    rows = scored(lenient, PAINTED)
    assert [row.row_key for row in strict.plan(PAINTED, rows)] == [row["row_key"] for row in rows]
    kept, rejected = (scorer.verdicts(rows)[rows[0]["image_id"]] for scorer in (lenient, strict))
    assert kept.key != rejected.key
    assert [finding.rule for finding in (*kept.findings, *rejected.findings)] == ["fact_not_shown"]


def test_a_verdict_is_taken_over_while_the_scores_and_thresholds_are_the_same() -> None:
    low = AlignmentVerdict("key", (Finding("low_clip_score", "The CLIPScore is low."),))
    first = judge([_with(low)], [], NO_BENCHMARK, FilterSettings())
    assert reasons(first.rows[0]) == ["low_clip_score"]
    previous = [but(row, run_id="run") for row in first.rows]
    same = judge([_with(low)], [], NO_BENCHMARK, FilterSettings(), previous)
    assert (same.reused, same.rows) == (1, first.rows)
    other = judge([_with(AlignmentVerdict("other", ()))], [], NO_BENCHMARK, FilterSettings(), previous)
    assert (other.reused, reasons(other.rows[0])) == (0, [])


def test_pairs_of_profiles_that_score_nothing_keep_their_keys() -> None:
    settings = FilterSettings()
    assert settings_key(settings) == "689842df8111c36455de88899a26f75c"
    scoring = settings.model_copy(update={"alignment": AlignmentSettings.model_validate(asks_subject())})
    assert settings_key(scoring) == settings_key(settings)
    pair = candidate()
    assert examination_key(pair, "settings") != examination_key(_with(AlignmentVerdict("key", ())), "settings")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "name at least one scorer"),
        ({"clip": {"model": "clip"}}, "min_score"),
        ({"vqa": {"model": "m", "min_score": 0.5, "question": "Is it {subject}?"}}, "the only slot is {caption}"),
        ({"vqa": {"model": "m", "min_score": 0.5, "question": "Is it good?"}}, "{caption} is missing"),
        ({"facts": {"ask": {"mood": {"model": "m", "min_score": 0.5}}}}, "facts.ask.mood"),
        (asks_subject(1.5), "less than or equal to 1"),
    ],
)
def test_mistakes_in_the_settings_are_named(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as error:
        AlignmentSettings.model_validate(settings)
    assert reason in str(error.value)


def _with(verdict: AlignmentVerdict) -> Candidate:
    return replace(candidate(), alignment=verdict)
