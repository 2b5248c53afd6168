"""The budget is a hard stop, in one process and in several, and costs are exact."""

from __future__ import annotations

import sqlite3
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.ledger import Ledger, LedgerError, Spending
from stablellava_assets.endpoint.replies.replies import Reply
from stablellava_assets.endpoint.requests import EndpointError
from stablellava_assets_tests.endpoint import asker
from stablellava_assets_tests.endpoint.questions import ask, priced, question, questions, settings_of
from stablellava_assets_tests.fakes.loopback import Script, loopback

COST = Decimal("0.0003")
REPLY = Reply('{"text": "a"}', None, "stop", "loopback", 100, 20)


def ledger_of(tmp_path: Path, budget: str | None = None) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite", None if budget is None else Decimal(budget))


def test_the_budget_stops_the_call_and_the_rest_is_deferred(tmp_path: Path) -> None:
    with loopback(Script(latency_s=0.02)) as (url, counts):
        settings = priced(tmp_path, url, budget_usd="0.03", initial_in_flight=16)
        outcomes = ask(settings, tmp_path, 200)
        statuses = Counter(outcome.status for outcome in outcomes)
        assert statuses.total() == 200
        assert 97 <= statuses["made"] <= 100, "what was reserved in excess is used again"
        assert counts.arrived.total() == statuses["made"]
        deferred = [outcome for outcome in outcomes if outcome.status == "deferred"]
        assert {(outcome.fault, outcome.reason) for outcome in deferred} == {
            ("budget", "budget reached: $0.03 (budget_usd)")
        }
        assert {outcome.cost_usd for outcome in deferred} == {Decimal(0)}

        more = ask(priced(tmp_path, url, budget_usd="0.06"), tmp_path, 200)
        statuses = Counter(outcome.status for outcome in more)
        assert 197 <= statuses["made"] <= 200
        assert counts.arrived.total() == statuses["made"], "paid answers are not asked for again"
    assert ledger_of(tmp_path).spending() == Spending(statuses["made"] * COST, Decimal(0), 0)


def test_several_processes_share_a_budget(tmp_path: Path) -> None:
    with loopback(Script(latency_s=0.02)) as (url, counts):
        settings = priced(tmp_path, url, budget_usd="0.06")
        processes = [
            asker.start(settings, tmp_path / "ledger.sqlite", first, 150, tmp_path / f"{first}.jsonl")
            for first in (0, 150, 300)
        ]
        assert [process.wait() for process in processes] == [0, 0, 0]
    assert 190 <= counts.answered.total() <= 200
    assert ledger_of(tmp_path).spending() == Spending(counts.answered.total() * COST, Decimal(0), 0)
    outcomes = [line for path in tmp_path.glob("*.jsonl") for line in path.read_text().splitlines()]
    assert len(outcomes) == 450


def test_what_a_lost_answer_may_have_cost_counts_as_spent(tmp_path: Path) -> None:
    with loopback(Script(fault_share=1, faults=("reset",))) as (url, counts):
        settings = priced(tmp_path, url, budget_usd="0.005", attempts=50, initial_in_flight=4, max_in_flight=4)
        outcomes = ask(settings, tmp_path, 20)
    spending = ledger_of(tmp_path).spending()
    assert spending.spent == 0
    assert Decimal("0.004") < spending.held <= Decimal("0.005")
    assert counts.arrived.total() < 20
    assert {outcome.fault for outcome in outcomes} == {"budget"}


def test_a_reservation_of_a_killed_process_stays(tmp_path: Path) -> None:
    request = question(settings_of("http://localhost"), "say it")
    killed = ledger_of(tmp_path, "1")
    assert killed.reserve(request, "loopback", Decimal("0.7"))
    killed.close()
    ledger = ledger_of(tmp_path, "1")
    assert not ledger.reserve(request, "loopback", Decimal("0.31"))
    assert ledger.reserve(request, "loopback", Decimal("0.3"))
    ledger.settle(request.request_id, REPLY, COST, Decimal("0.3"))
    assert ledger.spending() == Spending(COST, Decimal("0.7"), 0)


def test_costs_are_exact_however_many(tmp_path: Path) -> None:
    ledger = ledger_of(tmp_path)
    tenth = Decimal("0.000000100001")
    for number in range(1000):
        request = question(settings_of("http://localhost"), f"say {number}")
        ledger.reserve(request, "loopback", tenth * 3)
        ledger.settle(request.request_id, REPLY, tenth, tenth * 3)
    assert ledger.spending() == Spending(Decimal("0.000100001000"), Decimal(0), 0)


def test_an_unknown_price_is_an_unknown_cost(tmp_path: Path) -> None:
    with loopback() as (url, _):
        (outcome,) = ask(settings_of(url), tmp_path)
    assert (outcome.status, outcome.cost_usd, outcome.paid_usd) == ("made", None, None)
    assert ledger_of(tmp_path).spending() == Spending(Decimal(0), Decimal(0), 1)


def test_an_answer_without_token_counts_has_an_unknown_cost_and_its_bound_stays_reserved(tmp_path: Path) -> None:
    request = question(settings_of("http://localhost"), "say it")
    ledger = ledger_of(tmp_path)
    ledger.reserve(request, "loopback", Decimal("0.2"))
    ledger.settle(request.request_id, Reply("{}", None, "stop", None, None, None), None, Decimal("0.2"))
    assert ledger.spending() == Spending(Decimal(0), Decimal("0.2"), 1)


def test_a_budget_without_a_price_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with loopback() as (url, counts):
        endpoint = ChatEndpoint(settings_of(url, budget_usd=1), tmp_path / "ledger.sqlite")
        with pytest.raises(EndpointError, match=r"the price of model 'loopback' is unknown: .* prices"):
            endpoint.ask(questions(settings_of(url), 3))
    assert counts.arrived.total() == 0


def test_a_model_that_costs_nothing_is_held_against_any_budget(tmp_path: Path) -> None:
    (tmp_path / "free.yaml").write_text("loopback: {input: 0, output: 0}\n")
    with loopback() as (url, _):
        settings = settings_of(url, budget_usd="0.000001", prices=tmp_path / "free.yaml")
        outcomes = ask(settings, tmp_path, 50)
    assert {(outcome.status, outcome.cost_usd) for outcome in outcomes} == {("made", Decimal(0))}


def test_averages_by_stage_and_model_count_repairs_with_their_requests(tmp_path: Path) -> None:
    with loopback(Script(fault_share=0.5, faults=("empty",))) as (url, counts):
        ask(priced(tmp_path, url), tmp_path, 40)
        ledger = ledger_of(tmp_path)
        usage = ledger.usage("test", "loopback")
        assert usage is not None
        assert usage.requests == 40
        assert usage.prompt_tokens == pytest.approx(counts.answered.total() * 100 / 40)
        assert usage.completion_tokens == pytest.approx(counts.answered.total() * 20 / 40)
        assert usage.cost_usd == pytest.approx(counts.answered.total() * 0.0003 / 40)
        assert counts.answered.total() > 45
    assert ledger.usage("another", "loopback") is None
    assert ledger.usage("test", "another") is None


def test_a_damaged_ledger_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").write_bytes(b"nonsense" * 1000)
    with pytest.raises(LedgerError, match=r"ledger\.sqlite: cannot be opened .* move it away"):
        ledger_of(tmp_path)


def test_a_ledger_of_another_version_is_named(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(LedgerError, match="it is of version 99"):
        ledger_of(tmp_path)


def test_a_full_disk_ends_the_call_and_keeps_what_was_paid(tmp_path: Path) -> None:
    ledger, outcomes = tmp_path / "ledger.sqlite", tmp_path / "outcomes.jsonl"
    with loopback() as (url, counts):
        settings = settings_of(url, max_in_flight=8)
        # A quota of 2 MiB a file stands for the full disk.
        full = asker.start(settings, ledger, 0, 400, outcomes, within_kib=2048)
        assert full.wait() != 0
        assert full.stderr is not None
        assert f"{ledger}: could not be written" in full.stderr.read().decode()
        paid = counts.answered.total()
        assert 50 < paid < 400
        assert asker.start(settings, ledger, 0, 400, outcomes).wait() == 0
    assert len(outcomes.read_text().splitlines()) == 400
    assert counts.answered.total() <= 400 + 8
