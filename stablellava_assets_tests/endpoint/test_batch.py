"""The Batch API: each request is paid once, whatever happens to the process or to the batch."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.ledger import Ledger, Spending
from stablellava_assets.endpoint.requests import ChatOutcome, EndpointError
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets_tests.endpoint import asker
from stablellava_assets_tests.endpoint.questions import KEY, Echo, ask, priced, question, settings_of
from stablellava_assets_tests.fakes.batch_server import BatchScript, batch_server
from stablellava_assets_tests.fakes.loopback import REPAIR, echo, loopback

HALF_PRICE = Decimal("0.00015")


def batched(tmp_path: Path, url: str, **changes: Any) -> EndpointSettings:
    return priced(tmp_path, url, **{"mode": "batch", "batch_poll_s": 0.02, **changes})


def spending(tmp_path: Path) -> Spending:
    return Ledger(tmp_path / "ledger.sqlite").spending()


def texts(outcomes: list[ChatOutcome]) -> set[str]:
    return {outcome.answer.text for outcome in outcomes if isinstance(outcome.answer, Echo)}


def once(event: str, what: int | str) -> Callable[[str], int | str | None]:
    """Does something at the first such event."""
    left = [what]
    return lambda happened: left.pop() if happened == event and left else None


def test_every_request_is_answered_once_at_half_the_price(tmp_path: Path) -> None:
    with batch_server() as (url, held):
        settings = batched(tmp_path, url, batch_requests=4)
        outcomes = ask(settings, tmp_path, 10)
        again = ask(settings, tmp_path, 10)
    assert texts(outcomes) == {f"say {number}" for number in range(10)}
    assert {(outcome.status, outcome.cost_usd, outcome.paid_usd) for outcome in outcomes} == {
        ("made", HALF_PRICE, HALF_PRICE)
    }
    assert {(outcome.status, outcome.cost_usd, outcome.paid_usd) for outcome in again} == {
        ("made", HALF_PRICE, Decimal(0))
    }
    assert sorted(len(held.lines_of(batch)) for batch in held.batches) == [2, 4, 4]
    assert set(held.executed.values()) == {1}
    assert spending(tmp_path) == Spending(10 * HALF_PRICE, Decimal(0), 0)


def test_files_stay_below_their_size(tmp_path: Path) -> None:
    with batch_server() as (url, held):
        ask(batched(tmp_path, url, batch_bytes=2000), tmp_path, 12)
        sizes = [file["bytes"] for file in held.files.values()]
    assert max(sizes) <= 2000
    assert len(sizes) > 2
    assert held.executed.total() == 12


def test_the_same_request_is_sent_and_paid_once(tmp_path: Path) -> None:
    with batch_server() as (url, held):
        settings = batched(tmp_path, url)
        twice = [question(settings, "say it"), question(settings, "say it")]
        outcomes = list(ChatEndpoint(settings, tmp_path / "ledger.sqlite").ask(twice))
    assert [outcome.paid_usd for outcome in outcomes] == [HALF_PRICE, Decimal(0)]
    assert held.executed.total() == 1


@pytest.mark.parametrize(
    "event",
    ["uploaded", "creating", "created", "looked"],
    ids=[
        "before the upload is known",
        "between upload and create",
        "before the batch is known",
        "while it is under way",
    ],
)
def test_a_killed_process_finds_its_batch_again(tmp_path: Path, event: str) -> None:
    happened, killed = threading.Event(), threading.Event()

    def hang(now: str) -> str | None:
        if now != event or killed.is_set():
            return None
        happened.set()
        killed.wait()
        return "drop"

    with batch_server(BatchScript(at=hang)) as (url, held):
        settings = batched(tmp_path, url)
        ledger = tmp_path / "ledger.sqlite"
        process = asker.start(settings, ledger, 0, 5, tmp_path / "outcomes.jsonl")
        assert happened.wait(30)
        process.kill()
        process.wait()
        killed.set()
        if event == "created":
            # Others of the account's batches come between, on more than one page of the list.
            for number in range(5):
                held.batches[f"batch_other_{number}"] = {**held.batches["batch_2"], "metadata": None}
                held.batches[f"batch_other_{number}"]["id"] = f"batch_other_{number}"
        outcomes = ask(settings, tmp_path, 5)
        own = [batch for batch in held.batches.values() if batch["metadata"]]
    assert len(own) == 1
    assert texts(outcomes) == {f"say {number}" for number in range(5)}
    assert set(held.executed.values()) == {1}
    assert held.executed.total() == 5
    assert spending(tmp_path) == Spending(5 * HALF_PRICE, Decimal(0), 0)


def test_results_of_a_batch_that_nobody_asks_for_any_more_are_taken_all_the_same(tmp_path: Path) -> None:
    with batch_server() as (url, held):
        process = asker.start(
            batched(tmp_path, url, batch_poll_s=30), tmp_path / "ledger.sqlite", 0, 5, tmp_path / "outcomes.jsonl"
        )
        while not held.looks:
            threading.Event().wait(0.02)
        process.kill()
        process.wait()
        (batch,) = held.batches
        held.looks[batch] = 10
        ask(batched(tmp_path, url), tmp_path, 0)
    assert held.executed.total() == 5
    assert spending(tmp_path) == Spending(5 * HALF_PRICE, Decimal(0), 0)


@pytest.mark.parametrize("what", ["drop", 500])
@pytest.mark.parametrize("event", ["uploaded", "creating", "created"])
def test_a_lost_response_submits_nothing_twice(tmp_path: Path, event: str, what: int | str) -> None:
    with batch_server(BatchScript(at=once(event, what))) as (url, held):
        outcomes = ask(batched(tmp_path, url), tmp_path, 3)
    assert len(held.batches) == 1
    assert Counter(outcome.status for outcome in outcomes) == {"made": 3}


def test_two_processes_wait_for_the_same_batch(tmp_path: Path) -> None:
    with batch_server(BatchScript(looks_until_done=10)) as (url, held):
        settings = batched(tmp_path, url)
        ledger = tmp_path / "ledger.sqlite"
        processes = [asker.start(settings, ledger, 0, 6, tmp_path / f"{name}.jsonl") for name in "ab"]
        assert [process.wait() for process in processes] == [0, 0]
    for name in "ab":
        outcomes = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
        assert [outcome[1] for outcome in outcomes] == ["made"] * 6
    assert len(held.batches) == 1
    assert spending(tmp_path) == Spending(6 * HALF_PRICE, Decimal(0), 0)


@pytest.mark.parametrize("end", ["expired", "cancelled"])
def test_what_a_batch_did_not_reach_is_deferred_and_asked_for_next_time(tmp_path: Path, end: str) -> None:
    script = BatchScript(end=end, answered_before_end=3)
    with batch_server(script) as (url, held):
        settings = batched(tmp_path, url)
        outcomes = ask(settings, tmp_path, 5)
        assert Counter(outcome.status for outcome in outcomes) == {"made": 3, "deferred": 2}
        assert all(end in str(outcome.reason) for outcome in outcomes if outcome.status == "deferred")
        assert spending(tmp_path) == Spending(3 * HALF_PRICE, Decimal(0), 0)
        script.end = "completed"
        outcomes = ask(settings, tmp_path, 5)
    assert Counter(outcome.status for outcome in outcomes) == {"made": 5}
    assert set(held.executed.values()) == {1}


def test_a_batch_that_fails_as_a_whole_is_deferred_with_the_reason(tmp_path: Path) -> None:
    error = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached", "line": None, "param": None}
    with batch_server(BatchScript(end="failed", error=error)) as (url, _):
        outcomes = ask(batched(tmp_path, url), tmp_path, 3)
    assert {outcome.status for outcome in outcomes} == {"deferred"}
    assert "token_limit_exceeded: Enqueued token limit reached" in str(outcomes[0].reason)
    assert spending(tmp_path) == Spending(Decimal(0), Decimal(0), 0)


def test_a_model_that_does_not_exist_ends_the_call(tmp_path: Path) -> None:
    error = {"code": "model_not_found", "message": "The model does not exist", "line": 1, "param": "body.model"}
    with (
        batch_server(BatchScript(end="failed", error=error)) as (url, _),
        pytest.raises(EndpointError, match="model_not_found: The model does not exist; check `model`"),
    ):
        ask(batched(tmp_path, url), tmp_path, 3)


def test_refused_requests_fail_and_faults_are_deferred(tmp_path: Path) -> None:
    statuses: Mapping[str, int | None] = {"say 1": 400, "say 2": 500}

    def result(line: Mapping[str, Any]) -> int | None:
        return statuses.get(line["body"]["messages"][0]["content"])

    with batch_server(BatchScript(result=result)) as (url, _):
        outcomes = ask(batched(tmp_path, url), tmp_path, 4)
    assert Counter(outcome.status for outcome in outcomes) == {"made": 2, "failed": 1, "deferred": 1}
    assert {str(outcome.reason).partition(":")[0] for outcome in outcomes if outcome.reason} == {"HTTP 400", "HTTP 500"}
    assert spending(tmp_path) == Spending(2 * HALF_PRICE, Decimal(0), 0)


def test_settings_that_the_endpoint_refuses_end_the_call(tmp_path: Path) -> None:
    with (
        batch_server(BatchScript(result=lambda line: 400)) as (url, _),
        pytest.raises(EndpointError, match=r"refuses every request: HTTP 400: .* Check .* structured_output"),
    ):
        ask(batched(tmp_path, url), tmp_path, 20)


def test_repairs_go_into_the_next_batch(tmp_path: Path) -> None:
    def answer(body: Mapping[str, Any]) -> str:
        repaired = str(body["messages"][-1]["content"]).startswith(REPAIR)
        broken = str(body["messages"][0]["content"]) in ("say 1", "say 2") and not repaired
        return '{"txt": 1}' if broken else echo(body)

    with batch_server(BatchScript(answer=answer)) as (url, held):
        outcomes = ask(batched(tmp_path, url), tmp_path, 4)
    assert texts(outcomes) == {f"say {number}" for number in range(4)}
    assert [len(held.lines_of(batch)) for batch in held.batches] == [4, 2]
    assert sorted(outcome.cost_usd or 0 for outcome in outcomes) == [HALF_PRICE] * 2 + [2 * HALF_PRICE] * 2
    assert spending(tmp_path) == Spending(6 * HALF_PRICE, Decimal(0), 0)


def test_the_budget_is_reserved_before_a_batch_is_submitted(tmp_path: Path) -> None:
    with batch_server() as (url, held):
        settings = batched(tmp_path, url, budget_usd="0.002")
        outcomes = ask(settings, tmp_path, 40)
        spent = spending(tmp_path)
        made = [outcome for outcome in outcomes if outcome.status == "made"]
        deferred = [outcome for outcome in outcomes if outcome.status == "deferred"]
        assert len(made) + len(deferred) == 40
        assert 10 <= len(made) <= 13, "what was reserved in excess is used by further batches"
        assert len(held.batches) > 1
        assert {outcome.fault for outcome in deferred} == {"budget"}
        assert spent == Spending(len(made) * HALF_PRICE, Decimal(0), 0)
        assert held.executed.total() == len(made)
        more = ask(batched(tmp_path, url, budget_usd="0.1"), tmp_path, 40)
    assert Counter(outcome.status for outcome in more) == {"made": 40}
    assert set(held.executed.values()) == {1}


def test_results_that_were_deleted_are_deferred_and_stay_reserved(tmp_path: Path) -> None:
    script = BatchScript()
    with batch_server(script) as (url, held):

        def delete(event: str) -> None:
            for batch in held.batches.values():
                held.contents.pop(batch["output_file_id"], None)

        script.at = delete
        outcomes = ask(batched(tmp_path, url), tmp_path, 2)
    assert {outcome.status for outcome in outcomes} == {"deferred"}
    assert "are lost" in str(outcomes[0].reason)
    assert spending(tmp_path).held > 0


def test_an_outage_while_a_batch_is_under_way(tmp_path: Path) -> None:
    looks = iter([503] * 5)
    script = BatchScript(at=lambda event: next(looks, None) if event == "looked" else None)
    with batch_server(script) as (url, held):
        settings = batched(tmp_path, url, attempts=2)
        outcomes = ask(settings, tmp_path, 2)
        assert {outcome.status for outcome in outcomes} == {"deferred"}
        assert "endpoint unavailable while batch" in str(outcomes[0].reason)
        assert {outcome.status for outcome in ask(settings, tmp_path, 2)} == {"made"}
    assert len(held.batches) == 1
    assert set(held.executed.values()) == {1}


def test_a_batch_of_another_account_is_named(tmp_path: Path) -> None:
    def vanish(event: str) -> None:
        if event == "looked":
            held.batches.clear()

    script = BatchScript()
    with batch_server(script) as (url, held):
        script.at = vanish
        with pytest.raises(EndpointError, match=r"has no batch batch_2, .*OPENAI_API_KEY.*, or move the ledger away"):
            ask(batched(tmp_path, url), tmp_path, 2)


def test_an_endpoint_without_a_batch_api_is_named(tmp_path: Path) -> None:
    with (
        loopback() as (url, _),
        pytest.raises(EndpointError, match="has no Batch API; check `base_url`, or set mode: live"),
    ):
        ask(batched(tmp_path, url), tmp_path, 2)


def test_the_key_appears_nowhere(tmp_path: Path) -> None:
    with batch_server(BatchScript(key="another")) as (url, _), pytest.raises(EndpointError) as caught:
        ask(batched(tmp_path, url), tmp_path, 2)
    assert KEY not in str(caught.value)
    assert "OPENAI_API_KEY" in str(caught.value)

    error = {"code": "billing_hard_limit_reached", "message": f"not with {KEY}", "line": None, "param": None}
    for script in (
        BatchScript(key=KEY, answer=lambda body: json.dumps({"text": KEY}), result=lambda line: None),
        BatchScript(key=KEY, result=lambda line: 500),
        BatchScript(key=KEY, end="failed", error=error),
    ):
        with batch_server(script) as (url, _):
            outcomes = ask(settings_of(url, mode="batch", batch_poll_s=0.02), tmp_path, 2)
        assert KEY not in repr(outcomes)
        assert "[key]" in repr(outcomes)
    assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
