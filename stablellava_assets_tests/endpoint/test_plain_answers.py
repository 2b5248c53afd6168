"""Requests for a text in the model's own words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.requests import ChatOutcome, PlainAnswer
from stablellava_assets.tables.schemas import FAILED, MADE, OF_ROW, OF_SETTING
from stablellava_assets_tests.endpoint.questions import KEY, priced, question
from stablellava_assets_tests.fakes.raw_server import completion, raw_server


def _asked(tmp_path: Path, message: Any, finish: str = "stop") -> tuple[ChatOutcome, list[dict[str, Any]]]:
    with raw_server(lambda body, number: (200, completion(message, finish=finish))) as (url, bodies):
        settings = priced(tmp_path, url)
        plain = question(settings, "What is it?", answer=PlainAnswer, limit_setting="some.limit")
        (outcome,) = ChatEndpoint(settings, tmp_path / "ledger.sqlite").ask([plain])
    return outcome, bodies


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.mark.parametrize(
    ("said", "finish", "text"),
    [
        ("A koala.", "stop", "A koala."),
        ('{"answer": "B"}', "stop", '{"answer": "B"}'),
        ("<think>Is it a bear?</think>\nA koala.", "stop", "A koala."),
        ("A koala in a tree, and", "length", "A koala in a tree, and"),
    ],
)
def test_the_text_is_the_answer_and_no_schema_is_sent(tmp_path: Path, said: str, finish: str, text: str) -> None:
    outcome, (body,) = _asked(tmp_path, said, finish)
    assert outcome.status == MADE
    assert outcome.answer == PlainAnswer(text=text)
    assert body["messages"] == [{"role": "user", "content": "What is it?"}]
    assert "response_format" not in body


@pytest.mark.parametrize(
    ("said", "finish", "fault", "reason"),
    [
        ({"content": None, "refusal": "I cannot."}, "stop", OF_ROW, "refused: I cannot."),
        ("A ko", "content_filter", OF_ROW, "the endpoint's content filter withheld the answer"),
        ("", "stop", OF_SETTING, "the answer is empty"),
        ("<think>Is it a bear?</think>", "stop", OF_SETTING, "the answer is nothing but thoughts"),
        ("<think>Is it", "length", OF_SETTING, "longer than some.limit allows (50 tokens for this request); raise it"),
    ],
)
def test_no_text_is_no_answer_and_is_not_asked_for_again(
    tmp_path: Path, said: Any, finish: str, fault: str, reason: str
) -> None:
    outcome, bodies = _asked(tmp_path, said, finish)
    assert (outcome.status, outcome.fault) == (FAILED, fault)
    assert reason in (outcome.reason or "")
    assert len(bodies) == 1
