"""The local chat model is served, answers by a schema, and ends with whoever started it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import pytest
from pydantic import BaseModel, Field

from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.local_server import (
    LOCAL_MODEL,
    LocalServerError,
    LocalServerOptions,
    answers,
    local_port,
    local_server,
    serve,
)
from stablellava_assets.endpoint.requests import chat_request
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.tables.schemas import MADE


class Sky(BaseModel):
    color: Literal["blue", "gray"]
    words: list[str] = Field(
        json_schema_extra={"minItems": 1, "maxItems": 2, "items": {"type": "string", "maxLength": 8}}
    )


def test_it_answers_by_a_schema_and_ends_with_its_context(tmp_path: Path) -> None:
    with local_server() as url:
        settings = EndpointSettings(base_url=url, model=LOCAL_MODEL, api_key_variable=None)
        port = local_port(settings)
        assert port == urlsplit(url).port
        assert port is not None
        assert answers(port)
        asked = [{"role": "user", "content": "Which color is a clear sky? Answer as JSON."}]
        request = chat_request(settings, stage="test", messages=asked, answer=Sky, max_output_tokens=60)
        (outcome,) = ChatEndpoint(settings, tmp_path / "ledger.sqlite").ask([request])
        assert (outcome.status, outcome.model) == (MADE, LOCAL_MODEL)
        assert isinstance(outcome.answer, Sky)
        assert outcome.completion_tokens
    assert not answers(port)


def test_it_ends_when_its_parent_is_killed() -> None:
    code = (
        "from stablellava_assets.endpoint.local_server import local_server; import time\n"
        "with local_server() as url: print(url, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        port = urlsplit(parent.stdout.readline().strip()).port
        assert port is not None
        assert answers(port)
        parent.kill()
    deadline = time.monotonic() + 10
    while answers(port) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not answers(port)


def test_a_file_that_is_no_model_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF?")
    with pytest.raises(LocalServerError, match=r"model\.gguf a GGUF model\?"):
        serve(LocalServerOptions(port=0, model_path=str(path)))
    with (
        pytest.raises(LocalServerError, match="ended before it was ready"),
        local_server(LocalServerOptions(port=0, model_path=str(path))),
    ):
        pass
    assert f"{path} a GGUF model?" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("url", "model", "port"),
    [
        ("http://localhost:1234/v1", LOCAL_MODEL, 1234),
        ("http://127.0.0.1:1234/v1", "qwen3", None),
        ("http://llm.example:1234/v1", LOCAL_MODEL, None),
        (None, "gpt-4o-mini", None),
    ],
)
def test_who_asks_for_the_local_model(url: str | None, model: str, port: int | None) -> None:
    assert local_port(EndpointSettings(base_url=url, model=model)) == port
