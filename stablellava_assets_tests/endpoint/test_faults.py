"""Everything goes wrong, often: each request still ends once, and none is repeated once it succeeded."""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.progress import Progress
from stablellava_assets_tests.endpoint.questions import priced, questions
from stablellava_assets_tests.fakes.loopback import FATAL_FAULTS, Script, conversation_of, loopback_process

MANY = 600
HARSH = Script(latency_s=0.005, fault_share=0.3, slow_s=1.0, retry_after_s=0.02, seed=7)


def failing(script: Script, count: int) -> Counter[str]:
    """How many of the questions meet each fault that nothing mends."""
    conversations = (conversation_of({"messages": [{"role": "user", "content": f"say {n}"}]}) for n in range(count))
    faults = Counter(script.lasting_fault(conversation) or "none" for conversation in conversations)
    return Counter({fault: number for fault, number in faults.items() if fault in FATAL_FAULTS})


@pytest.mark.slow
def test_hundreds_of_requests_at_thirty_percent_faults(tmp_path: Path) -> None:
    reasons: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    progress = Progress()
    with loopback_process(HARSH) as (url, counts):
        settings = priced(tmp_path, url, timeout_s=2, max_in_flight=64)
        endpoint = ChatEndpoint(settings, tmp_path / "ledger.sqlite")
        for outcome in endpoint.ask(questions(settings, MANY), progress=progress):
            seen[outcome.request_id] += 1
            if outcome.status != "made":
                reasons[str(outcome.reason).partition(":")[0]] += 1
        server = counts()
    assert len(seen) == MANY
    assert set(seen.values()) == {1}
    expected = failing(HARSH, MANY)
    assert reasons == {
        "cut off": expected["length"],
        "invalid answer": expected["wrong_for_good"],
        "refused": expected["refusal"],
        "HTTP 400": expected["400"],
    }
    assert progress.outcomes == {"made": MANY - expected.total(), "failed": expected.total()}
    assert set(server.answered.values()) == {1}, "a request that succeeded is not repeated"
    assert server.arrived.total() == progress.sent
    assert server.faults.total() > 0.25 * server.arrived.total()
    assert (
        endpoint.ledger.spending().spent
        == progress.paid_usd
        == server.answered.total() * progress.paid_usd / (progress.prompt_tokens // 100)
    )


def test_memory_stays_flat(tmp_path: Path) -> None:
    with loopback_process(replace(HARSH, faults=("500", "reset", "half", "wrong_for_good"), seed=3)) as (url, _):
        settings = priced(tmp_path, url, max_in_flight=32)
        endpoint = ChatEndpoint(settings, tmp_path / "ledger.sqlite")
        used = []
        tracemalloc.start()
        try:
            for finished, _ in enumerate(endpoint.ask(questions(settings, 600)), 1):
                if finished % 200 == 0:
                    gc.collect()  # Cycles that wait for the collector are no leak.
                    used.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
    assert used[-1] - used[0] < 100_000, "bytes, over four hundred requests"
