"""kill -9 at random moments: the next process goes on, to the same outcomes, paying twice only what was under way."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from time import sleep
from typing import Any

import pytest

from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets_tests.endpoint import asker
from stablellava_assets_tests.endpoint.questions import priced
from stablellava_assets_tests.fakes.loopback import Counts, Script, loopback_process

MANY = 400
IN_FLIGHT = 16
KILLS = 4
SCRIPT = Script(
    latency_s=0.05,
    fault_share=0.15,
    faults=("500", "429", "reset", "empty", "wrong_answer", "wrong_for_good", "refusal", "length"),
    seed=5,
)


def kill_after(process: Popen[bytes], answers: int, counts: Callable[[], Counts]) -> None:
    """Kill a process once the server has answered so many more requests."""
    before = counts().answered.total()
    while counts().answered.total() < before + answers:
        assert process.poll() is None, "it ended before it could be killed"
        sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()


def outcomes_of(path: Path) -> list[Any]:
    return sorted(json.loads(line) for line in path.read_text().splitlines())


@pytest.mark.slow
def test_killed_four_times_and_then_finished(tmp_path: Path) -> None:
    chance = random.Random(11)
    with loopback_process(SCRIPT) as (url, counts):
        settings = priced(tmp_path, url, initial_in_flight=IN_FLIGHT, max_in_flight=IN_FLIGHT)
        undisturbed = tmp_path / "undisturbed.jsonl"
        assert asker.start(settings, tmp_path / "undisturbed.sqlite", 0, MANY, undisturbed).wait() == 0
        paid_undisturbed = counts().answered
        assert set(paid_undisturbed.values()) == {1}

        killed = tmp_path / "killed.jsonl"
        for _ in range(KILLS):
            process = asker.start(settings, tmp_path / "killed.sqlite", 0, MANY, killed)
            kill_after(process, chance.randrange(5, 80), counts)
        assert asker.start(settings, tmp_path / "killed.sqlite", 0, MANY, killed).wait() == 0
        paid = counts().answered - paid_undisturbed
    assert outcomes_of(killed) == outcomes_of(undisturbed)
    twice = {body: times for body, times in paid.items() if times > 1}
    assert sum(times - 1 for times in twice.values()) <= KILLS * IN_FLIGHT
    assert len(paid) == len(paid_undisturbed)
    spending = Ledger(tmp_path / "killed.sqlite").spending()
    spent_undisturbed = Ledger(tmp_path / "undisturbed.sqlite").spending().spent
    assert spending.spent == spent_undisturbed
    assert spending.held > 0, "what the killed processes had under way counts as spent"
