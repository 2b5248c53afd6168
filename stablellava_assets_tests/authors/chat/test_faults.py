"""An endpoint that fails, a budget that ends, a process that dies: no row is lost, and nothing is paid twice."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from stablellava_assets.endpoint.requests import EndpointError
from stablellava_assets.tables.schemas import DIALOGUES
from stablellava_assets_tests.authors.chat.studio import Studio, content, total
from stablellava_assets_tests.fakes.chat_model import write
from stablellava_assets_tests.fakes.loopback import Script, loopback
from stablellava_assets_tests.project import ROOT

PRICE = 140_000_000
"""Picodollars of a request that the scripted server answers."""


def spent_and_held(studio: Studio) -> tuple[int, int]:
    with sqlite3.connect(studio.ledger_path) as ledger:
        ((spent, held),) = ledger.execute("SELECT spent, held FROM totals")
    return int(spent), int(held)


def test_three_in_ten_answers_are_faults(tmp_path: Path) -> None:
    with loopback(Script(fault_share=0.3, seed=3, retry_after_s=0.01, slow_s=0.1), write) as (url, counts):
        studio = Studio(tmp_path, url)
        studio.settings = {"subjects": "drawn", "prompts_per_request": 5}
        prompts = studio.write_prompts("animal", "0001", 150)
        studio.paint("animal", "0001")
        dialogues = studio.write_dialogues("animal", "0001")
    rows = [*prompts, *dialogues]
    statuses = Counter(row["status"] for row in rows)
    assert set(statuses) == {"made", "failed"}
    assert statuses["made"] > 0.85 * len(rows)
    assert all(row["reason"] for row in rows if row["status"] == "failed")
    assert max(counts.answered.values()) == 1, "an answered request is never sent again"
    assert len(counts.faults) > 12
    spent, _ = spent_and_held(studio)
    assert total(rows, "cost_usd") == spent == PRICE * sum(counts.answered.values())


def test_an_endpoint_that_is_down_defers_rows_to_the_next_run(tmp_path: Path) -> None:
    studio = Studio(tmp_path, "http://127.0.0.1:9/v1")
    studio.endpoint["attempts"] = 2
    rows = studio.write_prompts("animal", "0001", 30)
    assert {row["status"] for row in rows} == {"deferred"}
    assert all("no answer in 2 tries" in row["reason"] or "unavailable" in row["reason"] for row in rows)
    assert {row["prompt_tokens"] for row in rows} == {0}
    with loopback(Script(), write) as (url, _):
        studio.endpoint["base_url"] = url
        again = studio.write_prompts("animal", "0001", 30)
    assert {row["status"] for row in again} == {"made"}
    assert [row["row_key"] for row in again] == [row["row_key"] for row in rows]


def test_a_budget_is_never_exceeded_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    with loopback(Script(), write) as (url, counts):
        studio = Studio(tmp_path, url)
        studio.endpoint |= {"budget_usd": "0.012", "max_in_flight": 8}
        first = studio.write_prompts("animal", "0001", 1200)
        answered = sum(counts.answered.values())
        waiting = [row for row in first if row["status"] == "deferred"]
        assert 0 < len(waiting) < 1200
        assert {row["fault"] for row in waiting} == {"budget"}
        assert len(waiting) + 10 * answered == 1200
        spent, held = spent_and_held(studio)
        assert (spent, held) == (PRICE * answered, 0)
        assert spent <= 12_000_000_000
        studio.endpoint["budget_usd"] = "1"
        second = studio.write_prompts("animal", "0001", 1200)
        assert {row["status"] for row in second} == {"made"}
        assert sum(counts.answered.values()) == 120
    made_before = [row for row in first if row["status"] == "made"]
    assert [row for row in second if row["run_id"] == "run 1"] == made_before
    assert total(second, "cost_usd") == 120 * PRICE


def test_usage_counts_only_what_is_paid_now(tmp_path: Path) -> None:
    with loopback(Script(), write) as (url, _):
        studio = Studio(tmp_path, url)
        author = studio.author()
        planned = author.plan_prompts(studio.ability("animal"), "0001", 20)
        list(author.write_prompts(planned))
        paid = author.take_usage().total
        assert (paid.requests, paid.prompt_tokens, paid.completion_tokens) == (2, 200, 40)
        assert paid.cost_usd == Decimal(2 * PRICE).scaleb(-12)
        rows = list(author.write_prompts(planned))
        assert author.take_usage().total.requests == 0
        assert total(rows, "cost_usd") == 2 * PRICE


def test_a_wrong_key_is_a_fault_of_the_whole_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPBACK_KEY", "sk-wrong")
    with loopback(Script(key="sk-right"), write) as (url, _):
        studio = Studio(tmp_path, url)
        studio.endpoint["api_key_variable"] = "LOOPBACK_KEY"
        with pytest.raises(EndpointError, match="LOOPBACK_KEY") as raised:
            studio.write_prompts("animal", "0001", 20)
    assert "sk-wrong" not in str(raised.value)


@pytest.mark.slow
def test_killed_four_times_and_then_finished(tmp_path: Path) -> None:
    kills, in_flight = 4, 4
    chance = random.Random(5)
    with loopback(Script(latency_s=0.05), write) as (url, counts):
        undisturbed = tmp_path / "undisturbed"
        run(undisturbed, url).wait()
        needed = sum(counts.answered.values())
        counts.answered.clear()
        killed = tmp_path / "killed"
        for _ in range(kills):
            process = run(killed, url)
            before, deadline = sum(counts.answered.values()), time.monotonic() + 60
            wanted = before + chance.randint(1, needed // (kills + 1))
            while sum(counts.answered.values()) < wanted and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert run(killed, url).wait() == 0
        one, other = (Studio(folder, url) for folder in (undisturbed, killed))
        for table in Studio.written:
            expected, found = (content(studio.rows(table, "animal", "0001")) for studio in (one, other))
            assert found == expected
            assert {row["status"] for row in found} == {"made"}
        repeated = sum(counts.answered.values()) - needed
        assert 0 <= repeated <= kills * in_flight
        spent, held = spent_and_held(other)
        assert spent == PRICE * needed
        assert held > 0 or repeated == 0, "what a killed process had under way counts as spent"
    assert len(one.rows(DIALOGUES, "animal", "0001")) > 300


def run(folder: Path, url: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "stablellava_assets_tests.authors.chat.studio", str(folder), url, "60"]
    return subprocess.Popen(command, cwd=ROOT)
