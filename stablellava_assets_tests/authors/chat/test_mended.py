"""What failed by a setting or by the endpoint is asked for again once that is mended, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.endpoint import failing
from stablellava_assets.endpoint.replies import verdicts
from stablellava_assets.endpoint.requests import EndpointError
from stablellava_assets_tests.authors.chat.studio import Studio, total
from stablellava_assets_tests.fakes.chat_model import write
from stablellava_assets_tests.fakes.raw_server import Sent, completion, raw_server

LIMIT = 1000
PRICE = 140_000_000
"""Picodollars of an answered request."""


def answered(body: dict[str, Any], finish: str = "stop", **changes: Any) -> Sent:
    return 200, completion(write(body), finish=finish, **changes)


def cut_off(body: dict[str, Any]) -> Sent:
    return 200, completion({"content": None, "reasoning_content": "well..."}, finish="length")


def test_a_larger_limit_asks_again_for_what_it_cut_off_alone(tmp_path: Path) -> None:
    def respond(body: dict[str, Any], number: int) -> Sent:
        return cut_off(body) if "lynx" in str(body["messages"]) and body["max_tokens"] < LIMIT else answered(body)

    with raw_server(respond) as (url, bodies):
        studio = Studio(tmp_path, url)
        studio.settings = {"tokens_per_prompt": 50, "prompts_per_request": 5}
        first = studio.write_prompts("animal", "0001", 26)
        (failed,) = (row for row in first if row["status"] != "made")
        assert (failed["status"], failed["fault"]) == ("failed", "setting")
        assert "author.tokens_per_prompt" in failed["reason"]
        sent = len(bodies)
        studio.endpoint |= {"attempts": 3, "max_in_flight": 7, "budget_usd": "5"}
        assert studio.write_prompts("animal", "0001", 26) == first
        assert len(bodies) == sent, "pace and money cut nothing off"
        studio.settings["tokens_per_prompt"] = LIMIT
        second = studio.write_prompts("animal", "0001", 26)
    assert len(bodies) == sent + 1
    assert {row["status"] for row in second} == {"made"}
    kept = [row for row in second if row["spec_id"] != failed["spec_id"]]
    assert kept == [row for row in first if row["spec_id"] != failed["spec_id"]]
    assert [row["row_key"] for row in second] == [row["row_key"] for row in first]


def test_dialogues_that_were_cut_off_are_asked_for_again(tmp_path: Path) -> None:
    def respond(body: dict[str, Any], number: int) -> Sent:
        small = body["max_tokens"] < LIMIT and "yes_no" in str(body["messages"][-1])[-400:]
        return cut_off(body) if small else answered(body)

    with raw_server(respond) as (url, _):
        studio = Studio(tmp_path, url)
        studio.settings = {"subjects": "drawn", "tokens_per_prompt": LIMIT, "tokens_per_answer": 50}
        studio.write_prompts("animal", "0001", 4)
        studio.paint("animal", "0001")
        first = studio.write_dialogues("animal", "0001")
        assert {row["fault"] for row in first if row["status"] == "failed"} == {"setting"}
        studio.settings["tokens_per_answer"] = LIMIT
        second = studio.write_dialogues("animal", "0001")
    assert any(row["status"] == "failed" for row in first)
    assert {row["status"] for row in second} == {"made"}


def test_few_prompts_of_which_none_is_answered_stop_the_stage_and_a_mended_setting_goes_on(tmp_path: Path) -> None:
    def respond(body: dict[str, Any], number: int) -> Sent:
        if "max_tokens" in body:
            return 400, {"error": "Unsupported parameter: 'max_tokens'"}
        return answered(body)

    with raw_server(respond) as (url, bodies):
        studio = Studio(tmp_path, url)
        for _ in range(2):
            with pytest.raises(EndpointError, match=r"Unsupported parameter: 'max_tokens'.*output_limit_field"):
                studio.write_prompts("animal", "0001", 5)
        assert len(bodies) == 2 * 6, "each by itself as well, since one of them might have been at fault"
        studio.endpoint["output_limit_field"] = "max_completion_tokens"
        assert {row["status"] for row in studio.write_prompts("animal", "0001", 5)} == {"made"}


def test_one_prompt_that_moderation_turns_away_takes_none_along_and_stays_failed(tmp_path: Path) -> None:
    def respond(body: dict[str, Any], number: int) -> Sent:
        flagged = {"error": {"code": 403, "message": "The input was flagged", "metadata": {"reasons": ["violence"]}}}
        return (403, flagged) if "lynx" in str(body["messages"]) else answered(body)

    with raw_server(respond) as (url, bodies):
        studio = Studio(tmp_path, url)
        first = studio.write_prompts("animal", "0001", 26)
        (failed,) = (row for row in first if row["status"] != "made")
        assert (failed["status"], failed["fault"]) == ("failed", "row")
        assert failed["reason"] == "HTTP 403: The input was flagged: violence"
        sent = len(bodies)
        studio.settings["tokens_per_prompt"] = LIMIT
        assert studio.write_prompts("animal", "0001", 26) == first
    assert len(bodies) == sent


def test_paid_answers_that_only_had_to_be_read_otherwise_are_not_paid_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def respond(body: dict[str, Any], number: int) -> Sent:
        return 200, completion(f"like {{this}}</think>{write(body)}")

    with raw_server(respond) as (url, bodies):
        studio = Studio(tmp_path, url)
        with monkeypatch.context() as earlier:
            earlier.setattr(verdicts, "_objects_in", lambda text: iter(()))
            earlier.setattr(failing, "reader_key", lambda: "an earlier version")
            first = studio.write_prompts("animal", "0001", 12)
        assert {(row["status"], row["fault"]) for row in first} == {("failed", "setting")}
        sent = len(bodies)
        second = studio.write_prompts("animal", "0001", 12)
    assert len(bodies) == sent
    assert {row["status"] for row in second} == {"made"}
    assert total(second, "cost_usd") > 0


def test_answers_that_rows_had_by_themselves_are_read_again_and_not_asked_for_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def respond(body: dict[str, Any], number: int) -> Sent:
        (numbers,) = re.findall(r"prompts ([\d, ]+):", str(body["messages"]))
        odd = {"1", "2", "3"} & set(numbers.split(", "))
        return 200, completion(f"{'Here: ' if odd else ''}{write(body)}")

    with raw_server(respond) as (url, bodies):
        studio = Studio(tmp_path, url)
        studio.settings = {"prompts_per_request": 5}
        with monkeypatch.context() as earlier:
            earlier.setattr(verdicts, "_objects_in", lambda text: iter(()))
            earlier.setattr(failing, "reader_key", lambda: "an earlier version")
            first = studio.write_prompts("animal", "0001", 10)
        assert sum(row["status"] == "failed" for row in first) == 3
        sent = len(bodies)
        author = studio.author()
        planned = author.plan_prompts(studio.ability("animal"), "0001", 10)
        assert author.forecast([row for row in planned if row.inputs.request]).spent.requests == 0
        second = studio.write_prompts("animal", "0001", 10)
    assert len(bodies) == sent
    assert {row["status"] for row in second} == {"made"}
    assert [row for row in second if row in first] == [row for row in first if row["status"] == "made"]


def test_errors_inside_answers_are_worth_another_try_in_the_next_run(tmp_path: Path) -> None:
    broken = {
        "choices": [{"message": {"content": ""}, "finish_reason": "error", "error": {"code": 502, "message": "down"}}]
    }
    is_down = True

    def respond(body: dict[str, Any], number: int) -> Sent:
        return (200, broken) if is_down else answered(body)

    with raw_server(respond) as (url, _):
        studio = Studio(tmp_path, url)
        studio.endpoint |= {"attempts": 2}
        first = studio.write_prompts("animal", "0001", 10)
        assert {(row["status"], row["fault"]) for row in first} == {("deferred", "endpoint")}
        assert "down" in first[0]["reason"]
        assert total(first, "cost_usd") == 0
        is_down = False
        assert {row["status"] for row in studio.write_prompts("animal", "0001", 10)} == {"made"}


def test_an_account_without_credit_stops_the_stage_and_the_next_run_goes_on(tmp_path: Path) -> None:
    paid = 2

    def respond(body: dict[str, Any], number: int) -> Sent:
        return answered(body) if number < paid else (402, {"error": {"message": "Insufficient Balance"}})

    with raw_server(respond) as (url, bodies):
        studio = Studio(tmp_path, url)
        studio.endpoint |= {"initial_in_flight": 1, "max_in_flight": 1}
        with pytest.raises(EndpointError, match=r"no credit left.*Insufficient Balance"):
            studio.write_prompts("animal", "0001", 40)
        paid = 100
        rows = studio.write_prompts("animal", "0001", 40)
    assert {row["status"] for row in rows} == {"made"}
    assert len(bodies) == 5, "what was answered before the money ran out was kept"


def test_answers_without_a_text_are_asked_for_again_once_something_was_mended(tmp_path: Path) -> None:
    is_mended = False

    def respond(body: dict[str, Any], number: int) -> Sent:
        return answered(body) if is_mended else (200, completion({"content": None, "reasoning_content": "Hm."}))

    with raw_server(respond) as (url, bodies):
        studio = Studio(tmp_path, url)
        first = studio.write_prompts("animal", "0001", 10)
        assert {(row["status"], row["fault"], row["reason"]) for row in first} == {
            ("failed", "setting", "the answer is empty, also after its repair")
        }
        sent = len(bodies)
        assert studio.write_prompts("animal", "0001", 10) == first
        assert len(bodies) == sent
        is_mended = True
        studio.endpoint["api_key_variable"] = "ANOTHER"
        second = studio.write_prompts("animal", "0001", 10)
    assert {row["status"] for row in second} == {"made"}
    assert len(bodies) == sent + 1
    assert total(second, "cost_usd") > PRICE, "what was paid for nothing is not forgotten"
