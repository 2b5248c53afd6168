"""How much is sent at once and a minute: what the endpoint takes, what its headers ask for, what a profile allows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from time import monotonic

import pytest

from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.rate_limits.adaptive import AdaptiveLimit
from stablellava_assets.endpoint.rate_limits.pacing import Pace
from stablellava_assets.endpoint.rate_limits.retry_after import retry_after, wait_for_capacity
from stablellava_assets_tests.endpoint.questions import ask, priced, questions, settings_of
from stablellava_assets_tests.fakes.loopback import Script, loopback


def round_of_answers(limit: AdaptiveLimit, at: float) -> None:
    for _ in range(limit.limit):
        limit.answered(at, limit.limit)


def test_it_doubles_a_round_at_first_up_to_the_most() -> None:
    limit = AdaptiveLimit(initial=8, most=40)
    limits = []
    for number in range(4):
        limits.append(limit.limit)
        round_of_answers(limit, at=1.0 + number)
    assert limits[0] == 8
    assert 13 <= limits[1] <= 17
    assert limits[-1] == 40


def test_it_does_not_grow_without_demand() -> None:
    limit = AdaptiveLimit(initial=32, most=256)
    for number in range(500):
        limit.answered(number / 10, in_flight=3)
    assert limit.limit == 32


def test_it_halves_once_for_all_that_was_sent_before_a_congestion() -> None:
    limit = AdaptiveLimit(initial=64, most=256)
    epoch = limit.epoch
    for _ in range(64):
        limit.overloaded(epoch)
    assert limit.limit == 32
    for _ in range(4):
        limit.overloaded(limit.epoch)
    assert limit.limit == 16


def test_chance_refusals_do_not_slow_it_down() -> None:
    limit = AdaptiveLimit(initial=32, most=64)
    for number in range(1000):
        if number % 25 == 0:
            limit.overloaded(limit.epoch)
        else:
            limit.answered(number / limit.limit, limit.limit)
    assert limit.limit == 64


def test_after_a_congestion_it_returns_fast_to_just_below_and_then_feels_its_way() -> None:
    limit = AdaptiveLimit(initial=100, most=256)
    for _ in range(10):
        limit.overloaded(limit.epoch)
    assert limit.limit == 50
    limits = []
    for number in range(14):
        round_of_answers(limit, at=1.0 + number)
        limits.append(limit.limit)
    assert limits[2] >= 80
    assert 88 <= limits[6] <= 100
    assert limits[-1] > 100


def test_it_never_falls_below_one() -> None:
    limit = AdaptiveLimit(initial=4, most=8)
    for _ in range(100):
        limit.overloaded(limit.epoch)
    assert limit.limit == 1


def test_a_server_that_only_queues_is_not_asked_for_more() -> None:
    """Two answers a second, however many wait for them."""
    limit = AdaptiveLimit(initial=16, most=256)
    for number in range(600):
        limit.answered(number / 2, limit.limit)
    assert limit.limit < 32


def test_it_finds_what_an_endpoint_takes_at_once(tmp_path: Path) -> None:
    with loopback(Script(latency_s=0.15, most_at_once=24)) as (url, counts):
        outcomes = ask(settings_of(url, initial_in_flight=4, max_in_flight=256, attempts=20), tmp_path, 1000)
    assert {outcome.status for outcome in outcomes} == {"made"}
    assert counts.faults["429"] < 0.1 * counts.arrived.total()
    assert counts.most_at_once >= 24


def test_it_keeps_what_it_learned_from_call_to_call(tmp_path: Path) -> None:
    script = Script(latency_s=0.5)
    with loopback(script) as (url, counts):
        settings = settings_of(url, initial_in_flight=2, max_in_flight=64)
        endpoint = ChatEndpoint(settings, tmp_path / "ledger.sqlite")
        sent_at_first = []
        for asked in (
            questions(settings, 150),
            questions(settings, 40, stage="another"),
            questions(settings, 40, max_output_tokens=51),
        ):
            counts.arrivals.clear()
            list(endpoint.ask(asked))
            # Nothing is answered sooner, so these were sent by what was known before.
            sent_at_first.append(sum(at < counts.arrivals[0] + script.latency_s for at in counts.arrivals))
    new, answered_from_the_ledger, later = sent_at_first
    assert new == 2
    assert answered_from_the_ledger == 0
    assert later > 2 * new


@pytest.mark.parametrize("fault", ["429_seconds", "429_ms", "429_date"])
def test_nothing_is_sent_while_the_endpoint_asks_to_wait(tmp_path: Path, fault: str) -> None:
    # An HTTP date has whole seconds.
    script = Script(
        latency_s=0.05, fault_share=0.04, faults=(fault,), retry_after_s=1.4 if "date" in fault else 0.4, seed=2
    )
    with loopback(script) as (url, counts):
        outcomes = ask(settings_of(url, max_in_flight=4), tmp_path, 50)
    assert {outcome.status for outcome in outcomes} == {"made"}
    assert counts.faults[fault] == 1
    pauses = [after - before for before, after in zip(counts.arrivals, counts.arrivals[1:], strict=False)]
    assert 0.35 < max(pauses) < 1.6
    assert sum(pause > 0.3 for pause in pauses) == 1


def test_an_endpoint_that_asks_for_hours_is_left_alone(tmp_path: Path) -> None:
    with loopback(Script(fault_share=1, faults=("429_seconds",), retry_after_s=7200)) as (url, counts):
        outcomes = ask(settings_of(url), tmp_path, 100)
    assert {outcome.status for outcome in outcomes} == {"deferred"}
    assert outcomes[0].reason == "endpoint unavailable: it requested a wait of 7200 s (Retry-After)"
    assert counts.arrived.total() <= 32


def test_nothing_is_sent_when_no_request_remains_until_the_limit_is_reset(tmp_path: Path) -> None:
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "150ms"}
    with loopback(Script(headers=headers)) as (url, counts):
        ask(settings_of(url, max_in_flight=1), tmp_path, 6)
    pauses = [after - before for before, after in zip(counts.arrivals, counts.arrivals[1:], strict=False)]
    assert min(pauses) >= 0.145


def test_the_cap_on_requests_holds(tmp_path: Path) -> None:
    with loopback() as (url, counts):
        started = monotonic()
        ask(settings_of(url, requests_per_minute=3000), tmp_path, 100)
        seconds = monotonic() - started
    assert seconds > 99 / 50 * 0.85
    for first, later in zip(counts.arrivals, counts.arrivals[51:], strict=False):
        assert later - first > 0.75, "at most 50 a second, give or take what a late sender catches up"


def test_the_cap_on_tokens_holds(tmp_path: Path) -> None:
    with loopback() as (url, _):
        started = monotonic()
        ask(priced(tmp_path, url, tokens_per_minute=360_000, max_in_flight=4), tmp_path, 100)
        seconds = monotonic() - started
    assert seconds > 1.6, "12,000 tokens at 6,000 a second"
    assert seconds < 8, "at first more were thought likely, which must not last; the machine may be busy"


def test_in_no_minute_more_than_the_cap() -> None:
    pace = Pace(per_minute=120)
    now = 0.0
    sent: list[float] = []
    while now < 200:
        now += max(pace.delay(now), 0.13 if len(sent) % 40 else 0.35)
        pace.take(now, 1)
        sent.append(now)
    most = max(sum(start <= at < start + 60 for at in sent) for start in sent)
    assert 115 <= most <= 121


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "3"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-4"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"retry-after": "1m30s"}, 90),
        ({"retry-after": ""}, None),
        ({"retry-after": "2020-01-01T00:00:00Z"}, 0),
        ({"retry-after": "1577836800"}, 0),
    ],
)
def test_retry_after_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_may_be_a_date() -> None:
    at = datetime.now(UTC) + timedelta(seconds=30)
    assert 28 < (retry_after({"retry-after": format_datetime(at, usegmt=True)}) or 0) <= 30


@pytest.mark.parametrize(
    ("remaining", "reset", "most", "seconds"),
    [
        ("10", "1s", None, 0),
        ("500", "6m0s", "10000", 360 * 500 / 9500),
        ("500", "6m0s", None, 360),
        ("0", "20ms", "500", 0.02),
        ("0", "1h2m3.5s", None, 3723.5),
        ("0", "7", None, 7),
        ("0", "whenever", None, 0),
        ("none", "1s", None, 0),
        ("0", "1577836800", None, 0),
        ("0", "2020-01-01T00:00:00Z", None, 0),
    ],
)
def test_rate_limit_headers_are_read(remaining: str, reset: str, most: str | None, seconds: float) -> None:
    headers = {"x-ratelimit-remaining-tokens": remaining, "x-ratelimit-reset-tokens": reset}
    if most:
        headers["x-ratelimit-limit-tokens"] = most
    assert wait_for_capacity(headers, tokens=10 if remaining == "10" else 1000) == pytest.approx(seconds)
