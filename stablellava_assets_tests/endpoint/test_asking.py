"""What becomes of single requests: made, repaired, failed or deferred, each sent no more than it must be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.progress import Progress
from stablellava_assets.endpoint.requests import ChatOutcome, EndpointError
from stablellava_assets_tests.endpoint.questions import Echo, ask, priced, question, questions, settings_of
from stablellava_assets_tests.fakes.loopback import REPAIR, Script, loopback


def always(fault: str) -> Script:
    return Script(fault_share=1, faults=(fault,))


def test_an_answer_is_validated_priced_and_told(tmp_path: Path) -> None:
    with loopback() as (url, counts):
        (outcome,) = ask(priced(tmp_path, url, temperature=0.7, extra_body={"top_p": 0.9}), tmp_path)
    assert outcome.status == "made"
    assert outcome.answer == Echo(text="say 0")
    assert (outcome.prompt_tokens, outcome.completion_tokens, outcome.attempts) == (100, 20, 1)
    assert outcome.cost_usd == outcome.paid_usd == Decimal("0.0003")
    (body,) = counts.bodies.values()
    assert body["messages"] == [{"role": "user", "content": "say 0"}]
    assert (body["model"], body["temperature"], body["top_p"], body["max_tokens"]) == ("loopback", 0.7, 0.9, 50)
    assert body["response_format"]["json_schema"]["schema"] == {
        "description": Echo.__doc__,
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
        "additionalProperties": False,
    }


def test_what_was_answered_is_never_sent_again(tmp_path: Path) -> None:
    with loopback() as (url, counts):
        settings = priced(tmp_path, url)
        first, again = ask(settings, tmp_path, 30), ask(settings, tmp_path, 40)
    assert counts.arrived.total() == 40
    assert Counter(outcome.paid_usd for outcome in again) == {Decimal(0): 30, Decimal("0.0003"): 10}
    assert sum(outcome.cost_usd or 0 for outcome in again) == Decimal("0.0120")
    answers = {outcome.request_id: outcome.answer for outcome in again}
    assert all(answers[outcome.request_id] == outcome.answer for outcome in first)


def test_a_request_that_is_asked_twice_at_once_is_sent_once(tmp_path: Path) -> None:
    with loopback(Script(latency_s=0.1)) as (url, counts):
        settings = priced(tmp_path, url)
        endpoint = ChatEndpoint(settings, tmp_path / "ledger.sqlite")
        outcomes = list(endpoint.ask([*questions(settings, 3), *questions(settings, 3)]))
    assert counts.arrived.total() == 3
    assert len(outcomes) == 6
    assert sum(outcome.paid_usd or 0 for outcome in outcomes) == Decimal("0.0009")


def test_another_sample_of_the_same_request_is_another_answer(tmp_path: Path) -> None:
    with loopback() as (url, counts):
        settings = settings_of(url)
        same = [question(settings, "say it", sample=name) for name in ("first", "second")]
        outcomes = list(ChatEndpoint(settings, tmp_path / "ledger.sqlite").ask(same))
    assert len(outcomes) == 2
    assert list(counts.arrived.values()) == [2], "what tells the samples apart is not sent"


@pytest.mark.parametrize("fault", ["empty", "broken_answer", "wrong_answer"])
def test_an_unusable_answer_is_repaired_once_by_showing_it(tmp_path: Path, fault: str) -> None:
    with loopback(always(fault)) as (url, counts):
        settings = priced(tmp_path, url)
        (outcome,) = ask(settings, tmp_path)
        (again,) = ask(settings, tmp_path)
    assert outcome.answer == again.answer == Echo(text="say 0")
    assert counts.arrived.total() == 2
    original, repair = counts.bodies.values()
    assert repair["messages"][:1] == original["messages"]
    shown, complaint = repair["messages"][1:]
    assert shown["role"] == "assistant"
    assert complaint["content"].startswith(REPAIR)
    assert {"empty": "is empty", "broken_answer": "EOF", "wrong_answer": "object"}[fault] in complaint["content"]
    assert outcome.cost_usd == Decimal("0.0006")
    assert (outcome.prompt_tokens, outcome.attempts) == (200, 2)
    assert again.paid_usd == 0


@pytest.mark.parametrize(
    ("fault", "reason", "sent"),
    [
        ("wrong_for_good", "invalid answer: text: Field required; unexpected: Extra inputs", 2),
        ("refusal", "refused: I cannot help", 1),
        ("length", "cut off: the answer is longer than max_output_tokens (50)", 1),
    ],
)
def test_what_would_fail_again_is_failed_with_its_reason(tmp_path: Path, fault: str, reason: str, sent: int) -> None:
    with loopback(always(fault)) as (url, counts):
        (outcome,) = ask(priced(tmp_path, url), tmp_path)
    assert (outcome.status, outcome.answer) == ("failed", None)
    assert reason in str(outcome.reason)
    assert counts.arrived.total() == sent
    assert outcome.cost_usd == sent * Decimal("0.0003")
    assert outcome.fault == ("row" if fault == "refusal" else "setting")


@pytest.mark.parametrize("fault", ["429", "500", "503", "reset", "half", "not_json", "no_completion", "slow"])
def test_an_endpoint_that_keeps_failing_defers_and_then_is_left_alone(tmp_path: Path, fault: str) -> None:
    with loopback(always(fault)) as (url, counts):
        settings = settings_of(url, attempts=2, timeout_s=0.1, initial_in_flight=4, max_in_flight=4)
        outcomes = ask(settings, tmp_path, 60)
    assert {outcome.status for outcome in outcomes} == {"deferred"}
    assert "in 2 tries, the last: " in str(outcomes[0].reason)
    assert sum("endpoint unavailable" in str(outcome.reason) for outcome in outcomes) >= 40
    assert counts.arrived.total() < 40


def test_nothing_new_is_sent_while_everything_fails(tmp_path: Path) -> None:
    with loopback(always("500")) as (url, counts):
        # Without an answer, all would have been tried once before the first is tried again.
        settings = settings_of(url, attempts=2, backoff_s=0.5, max_backoff_s=0.5, initial_in_flight=4, max_in_flight=4)
        outcomes = ask(settings, tmp_path, 60)
    assert {outcome.status for outcome in outcomes} == {"deferred"}
    assert len(counts.arrived) <= 10 + 4


def test_a_closed_port_defers(tmp_path: Path) -> None:
    settings = priced(tmp_path, "http://127.0.0.1:9/v1", attempts=2, budget_usd="0.01")
    (outcome,) = ask(settings, tmp_path)
    assert (outcome.status, outcome.cost_usd) == ("deferred", Decimal(0))
    assert "no connection" in str(outcome.reason)
    assert ChatEndpoint(settings, tmp_path / "ledger.sqlite").ledger.spending().held == 0


def test_deferred_is_asked_again_by_the_next_call(tmp_path: Path) -> None:
    with loopback(always("500")) as (url, _):
        settings = settings_of(url, attempts=1)
        (outcome,) = ask(settings, tmp_path)
    assert outcome.status == "deferred"
    with loopback() as (url, _):
        request = question(settings, "say 0")
        elsewhere = settings.model_copy(update={"base_url": url})
        (outcome,) = ChatEndpoint(elsewhere, tmp_path / "ledger.sqlite").ask([request])
    assert (outcome.status, outcome.attempts) == ("made", 2)


def test_a_wrong_key_ends_the_call_at_once_and_names_its_variable(tmp_path: Path) -> None:
    with loopback(Script(key="sk-another")) as (url, counts), pytest.raises(EndpointError, match="OPENAI_API_KEY"):
        ask(settings_of(url), tmp_path, 500)
    assert counts.arrived.total() == 0


def test_a_wrong_address_ends_the_call_and_names_the_settings(tmp_path: Path) -> None:
    with loopback() as (url, _), pytest.raises(EndpointError, match="check `model` or `base_url`"):
        ask(settings_of(url.replace("/v1", "/v2")), tmp_path, 5)


def test_settings_that_no_request_survives_are_no_fault_of_the_requests(tmp_path: Path) -> None:
    with loopback(always("400")) as (url, counts):
        settings = settings_of(url)
        told: list[ChatOutcome] = []
        with pytest.raises(EndpointError, match="refuses every request: HTTP 400: unsupported value"):
            told += ChatEndpoint(settings, tmp_path / "ledger.sqlite").ask(questions(settings, 1000))
    assert told == []
    assert counts.arrived.total() < 100


def test_a_missing_key_is_named_before_anything_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    endpoint = ChatEndpoint(settings_of("http://127.0.0.1:9", base_url=None), tmp_path / "ledger.sqlite")
    with pytest.raises(EndpointError, match="set the environment variable OPENAI_API_KEY"):
        endpoint.ask([])


def test_a_local_server_needs_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with loopback() as (url, _):
        assert [outcome.status for outcome in ask(settings_of(url), tmp_path)] == ["made"]


def test_azure_is_asked_by_deployment_and_version(tmp_path: Path) -> None:
    with loopback(Script(key="sk-test-4f8c0a5be9")) as (url, counts):
        settings = settings_of(url, provider="azure", api_version="2024-10-21", model="my-deployment")
        (outcome,) = ask(settings, tmp_path)
    assert outcome.answer == Echo(text="say 0")
    assert counts.paths == {"/v1/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21"}


def test_an_address_may_end_in_a_slash(tmp_path: Path) -> None:
    with loopback() as (url, counts):
        assert [outcome.status for outcome in ask(settings_of(f"{url}/"), tmp_path)] == ["made"]
    assert counts.paths == {"/v1/chat/completions"}


def test_organization_and_project_are_taken_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-1")
    with loopback() as (url, counts):
        ask(settings_of(url), tmp_path)
    (headers,) = counts.headers
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "project-1")
    assert (headers["content-type"], headers["accept"]) == ("application/json", "application/json")


@pytest.mark.parametrize("how", ["json_object", "prompt"])
def test_endpoints_without_schemas_read_it_in_the_prompt(tmp_path: Path, how: str) -> None:
    def chatty(body: Mapping[str, Any]) -> str:
        return f"<think>{{hm}}</think>Here you are:\n```json\n{json.dumps({'text': 'well'})}\n```"

    with loopback(answer=chatty) as (url, counts):
        (outcome,) = ask(settings_of(url, structured_output=how), tmp_path)
    assert outcome.answer == Echo(text="well")
    (body,) = counts.bodies.values()
    assert '"additionalProperties": false' in body["messages"][-1]["content"]
    assert ("response_format" in body) == (how == "json_object")


def test_what_cannot_be_stored_or_printed_is_made_harmless(tmp_path: Path) -> None:
    with loopback(answer=lambda body: '{"text": "half a \ud83d pair"}') as (url, _):
        (outcome,) = ask(settings_of(url), tmp_path)
    assert outcome.answer == Echo(text="half a ? pair")
    with loopback(answer=lambda body: '{"\\u001b[31m\\n<b>": 1}') as (url, _):
        (outcome,) = ask(settings_of(url), tmp_path)
    assert outcome.status == "failed"
    assert str(outcome.reason).isprintable()


def test_requests_are_taken_no_faster_than_they_are_sent(tmp_path: Path) -> None:
    with loopback(Script(latency_s=0.02)) as (url, _):
        settings = settings_of(url, initial_in_flight=4, max_in_flight=4)
        taken = 0

        def counted() -> Any:
            nonlocal taken
            for request in questions(settings, 200):
                taken += 1
                yield request

        ahead = []
        for finished, _ in enumerate(ChatEndpoint(settings, tmp_path / "ledger.sqlite").ask(counted()), 1):
            ahead.append(taken - finished)
    assert max(ahead) <= 4 * 2 + 16


def test_a_caller_that_stops_early_leaves_nothing_unpaid_behind(tmp_path: Path) -> None:
    with loopback(Script(latency_s=0.2)) as (url, counts):
        settings = priced(tmp_path, url)
        endpoint = ChatEndpoint(settings, tmp_path / "ledger.sqlite")
        for _ in endpoint.ask(questions(settings, 1000)):
            break
        sent = counts.arrived.total()
        assert endpoint.ledger.spending().spent == sent * Decimal("0.0003")
    assert sent < 200


def test_the_callers_own_errors_pass_through(tmp_path: Path) -> None:
    with loopback() as (url, _):
        settings = settings_of(url)

        def broken() -> Any:
            yield from questions(settings, 10)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            list(ChatEndpoint(settings, tmp_path / "ledger.sqlite").ask(broken()))


def test_progress_is_counted_told_and_kept(tmp_path: Path) -> None:
    with loopback(Script(latency_s=0.2)) as (url, counts):
        settings = priced(tmp_path, url, initial_in_flight=8, max_in_flight=8)
        lines: list[str] = []
        progress = Progress()
        endpoint = ChatEndpoint(settings, tmp_path / "ledger.sqlite")
        list(endpoint.ask(questions(settings, 200), lines.append, progress))
    assert (progress.finished, progress.sent, progress.reused) == (200, 200, 0)
    assert progress.paid_usd == Decimal("0.06")
    assert lines[-1].startswith("200 requests (200 made), ")
    assert lines[-1].endswith("0 under way, 24,000 tokens, $0.0600")
    assert progress.timeline[-1].finished == 200
    assert progress.timeline[-1].paid_usd == Decimal("0.06")
    # A sample may fall between an answer and the request that takes its place, so only the server sees all eight.
    assert counts.most_at_once == 8
    assert all(0 < sample.in_flight <= 8 for sample in progress.timeline[1:-1])
    assert progress.timeline[-1].in_flight == 0
    assert [sample.seconds for sample in progress.timeline] == sorted(sample.seconds for sample in progress.timeline)
