"""The endpoint is kept as busy as it may be."""

from __future__ import annotations

from pathlib import Path

from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets_tests.endpoint.questions import priced, questions
from stablellava_assets_tests.fakes.loopback import Script, loopback_process

LATENCY_S, IN_FLIGHT, MANY = 0.2, 32, 160


def test_as_many_are_under_way_as_may_be_and_never_more(tmp_path: Path) -> None:
    with loopback_process(Script(latency_s=LATENCY_S)) as (url, counts):
        settings = priced(tmp_path, url, initial_in_flight=IN_FLIGHT, max_in_flight=IN_FLIGHT)
        endpoint = ChatEndpoint(settings, tmp_path / "ledger.sqlite")
        outcomes = list(endpoint.ask(questions(settings, MANY)))
        most = counts().most_at_once
    assert {outcome.status for outcome in outcomes} == {"made"}
    assert most == IN_FLIGHT
