"""Batches as servers of other makes describe them, and files of results with odd lines: one bad line costs one row."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.endpoint.batch.api import BatchApi
from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.endpoint.requests import EndpointError
from stablellava_assets_tests.endpoint.questions import ask, questions
from stablellava_assets_tests.endpoint.test_batch import batched
from stablellava_assets_tests.fakes.batch_server import _Handler, batch_server

COUNT = 5
Lines = list[bytes]


def of(line: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(line)
    return document


def with_body(line: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    document = of(line)
    document["response"]["body"] = change(document["response"]["body"])
    return json.dumps(document).encode() + b"\n"


def without(line: bytes, *names: str) -> bytes:
    return json.dumps({name: value for name, value in of(line).items() if name not in names}).encode() + b"\n"


def replaced(line: bytes, **changes: Any) -> bytes:
    return json.dumps({**of(line), **changes}).encode() + b"\n"


ODD: dict[str, tuple[Callable[[Lines], Lines], dict[str, int]]] = {
    "a blank line": (lambda lines: [lines[0], b"\n", b"  \n", *lines[1:]], {"made": COUNT}),
    "a byte order mark": (lambda lines: [b"\xef\xbb\xbf" + lines[0], *lines[1:]], {"made": COUNT}),
    "line ends as on Windows": (lambda lines: [line.replace(b"\n", b"\r\n") for line in lines], {"made": COUNT}),
    "no line end": (lambda lines: [*lines[:-1], lines[-1].rstrip()], {"made": COUNT}),
    "a line that is cut off": (lambda lines: [*lines[:-1], lines[-1][:40]], {"made": COUNT - 1, "deferred": 1}),
    "bytes that are no text": (lambda lines: [b"\xff\xfe\n", *lines], {"made": COUNT}),
    "a line that is a list": (lambda lines: [b"[1, 2]\n", b'"x"\n', b"null\n", *lines], {"made": COUNT}),
    "no custom_id": (lambda lines: [without(lines[0], "custom_id"), *lines[1:]], {"made": COUNT - 1, "deferred": 1}),
    "somebody else's custom_id": (lambda lines: [*lines, replaced(lines[0], custom_id="another")], {"made": COUNT}),
    "a custom_id twice": (lambda lines: [*lines, replaced(lines[0], response=None, error="later")], {"made": COUNT}),
    "a custom_id twice, the answer last": (
        lambda lines: [replaced(lines[0], response=None, error="first"), *lines],
        {"made": COUNT},
    ),
    "fields left out": (lambda lines: [without(line, "id", "error") for line in lines], {"made": COUNT}),
    "an error as text": (
        lambda lines: [replaced(lines[0], response=None, error="overloaded"), *lines[1:]],
        {"made": COUNT - 1, "deferred": 1},
    ),
    "an error as a list": (
        lambda lines: [replaced(lines[0], response=None, error=["overloaded"]), *lines[1:]],
        {"made": COUNT - 1, "deferred": 1},
    ),
    "neither answer nor error": (
        lambda lines: [without(lines[0], "response", "error"), *lines[1:]],
        {"made": COUNT - 1, "deferred": 1},
    ),
    "a body as text": (lambda lines: [with_body(line, json.dumps) for line in lines], {"made": COUNT}),
    "a body that is an error": (
        lambda lines: [with_body(lines[0], lambda body: {"error": {"message": "x", "code": 503}}), *lines[1:]],
        {"made": COUNT - 1, "deferred": 1},
    ),
    "a status as text": (
        lambda lines: [replaced(line, response={**of(line)["response"], "status_code": "200"}) for line in lines],
        {"made": COUNT},
    ),
    "no status": (
        lambda lines: [replaced(line, response={"body": of(line)["response"]["body"]}) for line in lines],
        {"made": COUNT},
    ),
    "a refusal with a body as text": (
        lambda lines: [replaced(lines[0], response={"status_code": 400, "body": "too long"}), *lines[1:]],
        {"made": COUNT - 1, "failed": 1},
    ),
    "a refusal whose error is text": (
        lambda lines: [replaced(lines[0], response={"status_code": 422, "body": {"error": "too long"}}), *lines[1:]],
        {"made": COUNT - 1, "failed": 1},
    ),
    "no credit for one": (
        lambda lines: [replaced(lines[0], response={"status_code": 402, "body": {"error": "no money"}}), *lines[1:]],
        {"made": COUNT - 1, "deferred": 1},
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_one_odd_line_costs_one_row_and_never_the_batch(tmp_path: Path, name: str) -> None:
    change, expected = ODD[name]
    with batch_server() as (url, held):
        settings = batched(tmp_path, url)
        held.contents = Odd(change)
        outcomes = ask(settings, tmp_path, COUNT)
        assert Counter(outcome.status for outcome in outcomes) == expected
        assert all(outcome.reason for outcome in outcomes if outcome.status != "made")
        with Ledger(tmp_path / "ledger.sqlite").transaction() as connection:
            assert connection.execute("SELECT count(*) FROM batches").fetchone() == (0,)
        again = ask(settings, tmp_path, COUNT)
    if "deferred" in expected:
        assert Counter(outcome.status for outcome in again)["made"] == COUNT


class Odd(dict[str, bytes]):
    """Files of which the first with answers in it is changed when it is fetched."""

    def __init__(self, change: Callable[[Lines], Lines]) -> None:
        super().__init__()
        self._change: Callable[[Lines], Lines] | None = change

    def get(self, name: str, default: Any = None) -> Any:
        content = super().get(name, default)
        if self._change is None or content is None or b"status_code" not in content:
            return content
        change, self._change = self._change, None
        return b"".join(change(content.splitlines(keepends=True)))


def test_lines_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    told: list[str] = []
    with batch_server() as (url, held):
        held.contents = Odd(lambda lines: [*lines[:-1], lines[-1][:40]])
        settings = batched(tmp_path, url)
        endpoint = ChatEndpoint(settings, tmp_path / "ledger.sqlite")
        outcomes = list(endpoint.ask(questions(settings, COUNT), told.append))
    (deferred,) = (outcome for outcome in outcomes if outcome.status == "deferred")
    assert "line 5: no JSON" in str(deferred.reason)
    assert any("a line of its files cannot be read" in line and "line 5" in line for line in told)


DESCRIBED: dict[str, Callable[[dict[str, Any]], Mapping[str, Any]]] = {
    "few fields": lambda batch: {
        name: batch[name] for name in ("id", "status", "output_file_id") if batch.get(name) is not None
    },
    "fields that are null": lambda batch: {
        name: value if name in ("id", "status", "output_file_id") else None for name, value in batch.items()
    },
    "a status in capitals": lambda batch: {**batch, "status": batch["status"].upper()},
    "a status by another name": lambda batch: {
        **batch,
        "status": {"completed": "SUCCEEDED", "in_progress": "RUNNING"}.get(batch["status"], "QUEUED"),
    },
    "a status as Google has it": lambda batch: {
        **batch,
        "status": {"completed": "JOB_STATE_SUCCEEDED"}.get(batch["status"], "JOB_STATE_RUNNING"),
    },
    "a status with blanks": lambda batch: {**batch, "status": f"{batch['status'].replace('_', ' ').title()} "},
    "a status of an end with errors": lambda batch: {
        **batch,
        "status": batch["status"].replace("completed", "completed_with_errors"),
    },
    "times as text": lambda batch: {**batch, "created_at": "2026-01-01T00:00:00Z", "request_counts": None},
    "an error that is a list": lambda batch: {**batch, "errors": []},
}


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_batch_is_known_by_the_little_that_matters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    original = BatchApi._json

    def described(self: BatchApi, response: Any, what: str) -> dict[str, Any]:
        document = original(self, response, what)
        return dict(DESCRIBED[name](document)) if what == "batch" else document

    monkeypatch.setattr(BatchApi, "_json", described)
    with batch_server() as (url, _):
        assert Counter(outcome.status for outcome in ask(batched(tmp_path, url), tmp_path, COUNT)) == {"made": COUNT}


@pytest.mark.parametrize(
    "errors",
    [
        {"object": "list", "data": [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}]},
        [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}],
        {"message": "Enqueued token limit reached"},
        "Enqueued token limit reached",
    ],
)
def test_why_a_batch_failed_is_told_whatever_its_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, errors: Any
) -> None:
    original = BatchApi._json

    def failed(self: BatchApi, response: Any, what: str) -> dict[str, Any]:
        document = original(self, response, what)
        return {**document, "status": "failed", "errors": errors} if what == "batch" else document

    monkeypatch.setattr(BatchApi, "_json", failed)
    with batch_server() as (url, _):
        outcomes = ask(batched(tmp_path, url), tmp_path, 2)
    assert {outcome.status for outcome in outcomes} == {"deferred"}
    assert "Enqueued token limit reached" in str(outcomes[0].reason)


@pytest.mark.parametrize(
    ("status", "content", "words"),
    [
        (500, b'{"error": {"message": "not now"}}', "not now"),
        (429, b"", "HTTP 429"),
        (200, b"<html><h1>Sign in</h1></html>", "a web page: Sign in"),
        (200, b'{"error": {"message": "not now"}}', "in place of results: not now"),
    ],
)
def test_results_that_cannot_be_fetched_now_are_fetched_by_the_next_call_and_not_paid_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, content: bytes, words: str
) -> None:
    original = _Handler._content
    with batch_server() as (url, held):
        settings = batched(tmp_path, url, attempts=2, backoff_s=0.01, max_backoff_s=0.02)
        with monkeypatch.context() as for_now:
            for_now.setattr(_Handler, "_content", lambda self, file_id: self.send(status, content))
            outcomes = ask(settings, tmp_path, COUNT)
        assert {(outcome.status, outcome.fault) for outcome in outcomes} == {("deferred", "endpoint")}
        assert words in str(outcomes[0].reason)
        assert _Handler._content is original
        assert Counter(outcome.status for outcome in ask(settings, tmp_path, COUNT)) == {"made": COUNT}
        assert set(held.executed.values()) == {1}


def test_results_that_are_not_to_be_had_name_the_key_and_not_another_way_to_pay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Handler, "_content", lambda self, file_id: self.send(403, b"not yours"))
    with (
        batch_server() as (url, _),
        pytest.raises(
            EndpointError, match=r"cannot be fetched: HTTP 403: not yours; check OPENAI_API_KEY and run again"
        ),
    ):
        ask(batched(tmp_path, url), tmp_path, 2)


def test_a_file_that_is_one_list_is_read(tmp_path: Path) -> None:
    with batch_server() as (url, held):
        held.contents = Odd(lambda lines: [b"[" + b",".join(line.rstrip() for line in lines) + b"]"])
        assert Counter(outcome.status for outcome in ask(batched(tmp_path, url), tmp_path, COUNT)) == {"made": COUNT}


def test_a_batch_that_stands_at_what_nobody_knows_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = BatchApi._json

    def described(self: BatchApi, response: Any, what: str) -> dict[str, Any]:
        document = original(self, response, what)
        return {**document, "status": "paused"} if what == "batch" else document

    with batch_server() as (url, held):
        settings = batched(tmp_path, url, attempts=3)
        with monkeypatch.context() as for_now:
            for_now.setattr(BatchApi, "_json", described)
            outcomes = ask(settings, tmp_path, 2)
        assert {outcome.status for outcome in outcomes} == {"deferred"}
        assert "stands at 'paused'" in str(outcomes[0].reason)
        assert Counter(outcome.status for outcome in ask(settings, tmp_path, 2)) == {"made": 2}
        assert set(held.executed.values()) == {1}
