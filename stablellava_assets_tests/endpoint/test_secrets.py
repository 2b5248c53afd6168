"""The key is nowhere but in the environment and in the requests, even where the server repeats it in all it says."""

from __future__ import annotations

import json
import logging
import traceback
from pathlib import Path

import pytest

from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.requests import EndpointError
from stablellava_assets_tests.endpoint.questions import KEY, ask, priced, question, questions, settings_of
from stablellava_assets_tests.fakes.loopback import FAULTS, Script, loopback


def test_the_key_is_in_no_log_outcome_or_ledger(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    script = Script(key=KEY, fault_share=0.5, faults=FAULTS, slow_s=0.3)
    with loopback(script, answer=lambda body: json.dumps({"text": f"you said {KEY}"})) as (url, counts):
        settings = priced(tmp_path, url, timeout_s=0.1, attempts=3)
        endpoint = ChatEndpoint(settings, tmp_path / "ledger.sqlite")
        told += map(repr, endpoint.ask(questions(settings, 120), told.append))
        told += [repr(settings), settings.model_dump_json(), repr(vars(endpoint))]
        assert sum(fault in counts.faults for fault in FAULTS) > 10
    assert "you said [key]" in "".join(told)
    assert "refused: I cannot help, [key]" in "".join(told)
    assert KEY not in "".join(told)
    assert KEY not in caplog.text
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 3, "the ledger is open, so its log is there too"
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


@pytest.mark.parametrize("key", ["EMPTY", "none", "x", "text"])
def test_a_key_that_is_a_mere_word_takes_no_words_out_of_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    said = f"an EMPTY text, none like x: {key}"
    with loopback(Script(), answer=lambda body: json.dumps({"text": said})) as (url, _):
        (outcome,) = ask(settings_of(url), tmp_path)
    assert outcome.answer is not None
    assert outcome.answer.model_dump() == {"text": said}


@pytest.mark.parametrize(
    "script",
    [Script(key="another"), Script(key=KEY, fault_share=1, faults=("400",))],
    ids=["not accepted", "every request refused"],
)
def test_the_key_is_in_no_exception(tmp_path: Path, script: Script) -> None:
    with loopback(script) as (url, _), pytest.raises(EndpointError) as raised:
        ask(settings_of(url), tmp_path, 100)
    shown = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=False).format(chain=True))
    assert KEY not in shown


def test_a_request_may_carry_no_key_in_its_address() -> None:
    for url in (f"http://{KEY}@localhost/v1", f"http://localhost/v1?api-key={KEY}"):
        with pytest.raises(ValueError, match="must hold no key") as raised:
            settings_of(url)
        assert raised.value


def test_the_keys_variable_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANOTHER_KEY", "sk-another")
    with loopback(Script(key="sk-another")) as (url, _):
        settings = settings_of(url, api_key_variable="ANOTHER_KEY")
        (outcome,) = ask(settings, tmp_path)
        assert outcome.status == "made"
        nameless = settings_of(url, api_key_variable=None)
        with pytest.raises(EndpointError, match="HTTP 401"):
            list(ChatEndpoint(nameless, tmp_path / "ledger.sqlite").ask([question(nameless, "another")]))
