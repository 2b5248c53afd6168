"""Profiles whose chat author asks a loopback server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.fakes.chat_model import MODEL


def chat_profile(
    folder: Path, base_url: str, *, author: dict[str, Any] | None = None, **endpoint: Any
) -> dict[str, Any]:
    """The small profile of the tests, written by a chat model; a dollar per million tokens sent, two received."""
    prices = folder / "prices.yaml"
    prices.write_text(yaml.safe_dump({MODEL: {"input": 1, "output": 2}}))
    settings = {
        "base_url": base_url,
        "model": MODEL,
        "prices": str(prices),
        "api_key_variable": None,
        "backoff_s": 0.05,
    }
    chat = {"kind": "chat", "subjects": "drawn", "prompts_per_request": 4, "endpoint": {**settings, **endpoint}}
    return {**SMALL, "author": {**chat, **(author or {})}}
