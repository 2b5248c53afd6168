"""A chat model grades open answers: over real HTTP, paid once, and told apart from the keywords."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.evaluation.scoreboard import judge_line, scoreboard
from stablellava_assets.evaluation.scores.judging import (
    PROMPT_VERSION,
    VERSION_OF_SEVERAL,
    judge_answers,
    plan_judgements,
)
from stablellava_assets.evaluation.scores.scoring import score_answers
from stablellava_assets.evaluation.settings import JudgeSettings
from stablellava_assets.tables.journal import RowJournal
from stablellava_assets.tables.rows import Refreshed
from stablellava_assets.tables.schemas import ANSWER_JUDGEMENTS
from stablellava_assets_tests.endpoint.questions import KEY, priced
from stablellava_assets_tests.fakes.loopback import Script, loopback
from stablellava_assets_tests.fakes.raw_server import Sent, completion, raw_server
from stablellava_assets_tests.tables.made_up import Row, but
from stablellava_assets_tests.tables.refreshing import refresh


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def _grade(body: Mapping[str, Any]) -> str:
    """Ten points for whatever mentions the word red, four for scarlet."""
    asked = str(body["messages"][1]["content"])
    answer = asked.partition("<answer>")[2].partition("</answer>")[0]
    points = 10 if "red" in answer else 4 if "scarlet" in answer else 0
    return json.dumps({"reason": "It says so.", "points": points})


def _answers(*said: tuple[str, str, bool]) -> list[Row]:
    return [
        {
            "answer_id": f"{model} {number}",
            "checkpoint_id": "c",
            "model": model,
            "benchmark": "mmvet",
            "ability": "ocr+math",
            "item_id": f"item {number}",
            "question_kind": "open",
            "question": f"Question {number // 2}",
            "accepted": ["red"],
            "answer": answer,
            "correct": correct,
        }
        for number, (model, answer, correct) in enumerate(said)
    ]


ANSWERS = _answers(
    ("base", "red", True), ("tuned", "red", True), ("base", "scarlet", False), ("tuned", "a redder one", False)
)


def _judge(tmp_path: Path, settings: JudgeSettings, previous: Refreshed | None = None) -> Refreshed:
    endpoint = ChatEndpoint(settings.endpoint, tmp_path / "ledger.sqlite")
    planned = plan_judgements(ANSWERS, settings)
    with RowJournal(tmp_path, ANSWER_JUDGEMENTS, ("c",)) as journal:
        made = refresh(
            ANSWER_JUDGEMENTS,
            planned,
            None if previous is None else previous.data,
            journal,
            lambda missing: judge_answers(missing, settings, endpoint, lambda line: None),
            "run",
            lambda line: None,
        )
        journal.discard()
    return made


def test_grades_become_scores_and_agreement(tmp_path: Path) -> None:
    with loopback(answer=_grade) as (url, seen):
        settings = JudgeSettings(endpoint=priced(tmp_path, url))
        first = _judge(tmp_path, settings)
        again = _judge(tmp_path, settings, first)
    judgements = ANSWER_JUDGEMENTS.rows(first.data)
    assert [row["grade"] for row in judgements] == [1.0, 1.0, 0.4, 1.0]
    assert [row["correct"] for row in judgements] == [True, True, False, True]
    assert {row["prompt_version"] for row in judgements} == {PROMPT_VERSION}
    assert sum(seen.answered.values()) == 3, "equal answers to one question are graded once"
    assert sum(row["cost_usd"] or 0 for row in judgements) == pytest.approx(3 * 0.0003)
    assert again.unchanged
    scores = {
        (row["model"], row["ability"]): row
        for row in score_answers(ANSWERS, judgements, ("open",))
        if row["question_kind"] == "open"
    }
    assert {ability for _, ability in scores} == {"ocr", "math", "all"}
    assert scores["base", "ocr"]["accuracy"] == 0.5
    assert scores["base", "math"]["mean_grade"] == pytest.approx(0.7)
    assert scores["tuned", "all"]["correct"] == 2
    assert "graded 4 answers and agrees with the keywords on 75.0% of them, Cohen's kappa 0.50" in judge_line(
        judgements
    )


def test_what_the_judge_did_not_grade_is_left_out_and_counted(tmp_path: Path) -> None:
    with loopback(Script(fault_share=1.0, faults=("500",)), answer=_grade) as (url, _):
        settings = JudgeSettings(endpoint=priced(tmp_path, url, attempts=2))
        judged = _judge(tmp_path, settings)
    assert judged.deferred == 4
    judgements = ANSWER_JUDGEMENTS.rows(judged.data)
    assert all("500" in str(row["reason"]) for row in judgements)
    assert score_answers(ANSWERS, judgements, ("open",)) == []
    assert "has not graded any of 4 answers" in judge_line(judgements)
    graded = [but(judgements[0], grade=1.0, correct=True), *judgements[1:]]
    (base, *_) = [row for row in score_answers(ANSWERS, graded, ("open",)) if row["model"] == "base"]
    assert (base["n"], base["unscored"]) == (1, 1)
    with loopback(answer=_grade) as (url, _):
        settings = JudgeSettings(endpoint=priced(tmp_path, url))
        assert _judge(tmp_path, settings, judged).deferred == 0, "deferred rows are tried again"


def test_other_instructions_or_answers_are_graded_anew() -> None:
    settings = JudgeSettings.model_validate({"endpoint": {"model": "one"}})
    keys = {row.row_key for row in plan_judgements(ANSWERS, settings)}
    other = JudgeSettings.model_validate({"endpoint": {"model": "two"}})
    assert not keys & {row.row_key for row in plan_judgements(ANSWERS, other)}
    changed = [but(row, answer="blue") for row in ANSWERS]
    assert not keys & {row.row_key for row in plan_judgements(changed, settings)}
    assert plan_judgements([but(ANSWERS[0], question_kind="what")], settings) == []


def test_a_judge_that_was_cut_off_is_asked_again_with_more_room(tmp_path: Path) -> None:
    def respond(body: dict[str, Any], number: int) -> Sent:
        if body["max_tokens"] < 500:
            return 200, completion({"content": None, "reasoning": "Let me see"}, finish="length")
        return 200, completion(_grade(body))

    with raw_server(respond) as (url, bodies):
        first = _judge(tmp_path, JudgeSettings(endpoint=priced(tmp_path, url), max_output_tokens=100))
        assert {row["fault"] for row in ANSWER_JUDGEMENTS.rows(first.data)} == {"setting"}
        assert "benchmark.judge.max_output_tokens" in first.data["reason"][0].as_py()
        sent = len(bodies)
        same = _judge(tmp_path, JudgeSettings(endpoint=priced(tmp_path, url), max_output_tokens=100), first)
        assert (same.unchanged, len(bodies)) == (True, sent)
        second = _judge(tmp_path, JudgeSettings(endpoint=priced(tmp_path, url), max_output_tokens=600), same)
    assert [row["grade"] for row in second.data.to_pylist()] == [1.0, 1.0, 0.4, 1.0]


def _graded_in_five(body: Mapping[str, Any]) -> str:
    asked = str(body["messages"][1]["content"])
    assert "Conversation:\nhuman: <image>\nWhere is this?\ngpt: A beach.\n<image>\nWhat have you seen?" in asked
    assert "A right answer says:\n- lion or big cat\n- tiger\nin this order" in asked
    said = asked.partition("<answer>")[2].partition("</answer>")[0]
    return json.dumps({"reason": "It says so.", "points": 5 if "tiger" in said else 2})


def test_answers_about_several_images_get_points_of_five_beside_their_scores(tmp_path: Path) -> None:
    history = [{"from": "human", "value": "<image>\nWhere is this?"}, {"from": "gpt", "value": "A beach."}]
    rows: list[Row] = [
        {
            **_answers((model, said, correct))[0],
            "answer_id": f"{model} {item}",
            "benchmark": benchmark,
            "ability": "multi_turn",
            "item_id": f"{benchmark} item {item}",
            "question_kind": "what",
            "question": "<image>\nWhat have you seen?",
            "accepted": ["lion", "big cat"],
            "accepted_groups": [["lion", "big cat"], ["tiger"]],
            "in_order": True,
            "history": history,
        }
        for item, (benchmark, model, said, correct) in enumerate(
            [
                ("ai", "base", "A lion.", False),
                ("ai", "tuned", "A lion, then a tiger.", True),
                ("ai", "blanked", "A lion, then a tiger.", True),
                ("muirbench", "tuned", "A lion.", False),
            ]
        )
    ]
    with loopback(answer=_graded_in_five) as (url, _):
        settings = JudgeSettings(endpoint=priced(tmp_path, url))
        planned = plan_judgements(rows, settings)
        assert [plan.inputs["model"] for plan in planned] == ["base", "tuned"], "controls have no grade"
        endpoint = ChatEndpoint(settings.endpoint, tmp_path / "ledger.sqlite")
        judged = [
            row for row in judge_answers(planned, settings, endpoint, lambda line: None) if row["status"] == "made"
        ]
    assert sorted((row["answered_by"], row["grade"], row["correct"]) for row in judged) == [
        ("base", 0.4, False),
        ("tuned", 1.0, True),
    ]
    assert {row["prompt_version"] for row in judged} == {VERSION_OF_SEVERAL}
    scores = {
        (row["model"], row["benchmark"], row["question_kind"]): row
        for row in score_answers(rows, judged, ("open",))
        if row["ability"] == "multi_turn"
    }
    assert scores["base", "ai", "what"]["mean_points"] == pytest.approx(2)
    assert scores["tuned", "ai", "all"]["mean_points"] == pytest.approx(5)
    assert (scores["tuned", "ai", "what"]["accuracy"], scores["tuned", "ai", "what"]["mean_grade"]) == (1.0, None)
    assert scores["blanked", "ai", "what"]["mean_points"] is None
    shown = scoreboard([row for row in scores.values() if row["benchmark"] == "ai"], markdown=True)
    assert "| multi_turn | base | 1 | 0.000 | 0.000 | 2.000 |" in shown
    assert "| multi_turn | tuned | 1 | 1.000 | 1.000 | 5.000 |" in shown
    assert "| multi_turn | blanked | 1 | 1.000 | 1.000 |  |" in shown
    unasked = JudgeSettings(endpoint=priced(tmp_path, "http://localhost"), several_images=False)
    assert plan_judgements(rows, unasked) == []
