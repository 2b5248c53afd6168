"""Requests that tests ask, and an endpoint that answers them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.requests import ChatOutcome, ChatRequest, chat_request
from stablellava_assets.endpoint.settings import EndpointSettings

KEY = "sk-test-4f8c0a5be9"
PRICES = "loopback: {input: 1, output: 10}\n"
"""A request with the server's usual 100 tokens in and 20 out costs $0.0003."""


class Echo(BaseModel):
    """What the server answers unless told otherwise: the first line it was sent."""

    model_config = ConfigDict(extra="forbid")
    text: str


def settings_of(url: str, **changes: Any) -> EndpointSettings:
    """Settings with pauses as short as the server's."""
    quick = {"timeout_s": 5, "backoff_s": 0.02, "max_backoff_s": 0.2}
    return EndpointSettings.model_validate({"base_url": url, "model": "loopback", **quick, **changes})


def priced(tmp_path: Path, url: str, **changes: Any) -> EndpointSettings:
    """Settings whose model has a price."""
    (tmp_path / "prices.yaml").write_text(PRICES)
    return settings_of(url, prices=tmp_path / "prices.yaml", **changes)


def questions(settings: EndpointSettings, count: int, **changes: Any) -> Iterator[ChatRequest]:
    """So many different requests, made one by one."""
    for number in range(count):
        yield question(settings, f"say {number}", **changes)


def question(settings: EndpointSettings, text: str, **changes: Any) -> ChatRequest:
    """A request whose answer is its text."""
    given: dict[str, Any] = {"stage": "test", "answer": Echo, "max_output_tokens": 50, **changes}
    return chat_request(settings, messages=[{"role": "user", "content": text}], **given)


def ask(settings: EndpointSettings, tmp_path: Path, count: int = 1) -> list[ChatOutcome]:
    """Ask so many questions of a new endpoint with the ledger of ``tmp_path``."""
    endpoint = ChatEndpoint(settings, tmp_path / "ledger.sqlite")
    return list(endpoint.ask(questions(settings, count)))
