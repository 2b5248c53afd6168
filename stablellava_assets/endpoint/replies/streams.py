"""Answers that a server or a proxy sends as a stream of events although nobody asked for one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def joined_stream(body: str) -> dict[str, Any] | None:
    """The chat completion that a stream of events makes, or the error that it holds; None if it is no such stream."""
    lines = [line.strip() for line in body.splitlines() if line.strip()]
    events = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
    if not events or any(not line.startswith(("data:", ":", "event:", "id:", "retry:")) for line in lines):
        return None
    chunks = []
    for event in events:
        if event == "[DONE]":
            continue
        try:
            chunk = json.loads(event)
        except (ValueError, RecursionError):
            return None
        if isinstance(chunk, Mapping):
            chunks.append(chunk)
    if events[-1] != "[DONE]" and not any(_finish(chunk) for chunk in chunks):
        return next(({**chunk} for chunk in chunks if chunk.get("error")), None)  # Half of one is none.
    return _joined(chunks)


def _joined(chunks: list[Mapping[str, object]]) -> dict[str, Any]:
    joined: dict[str, object] = {}
    message: dict[str, object] = {}
    choice: dict[str, object] = {"message": message}
    for chunk in chunks:
        joined |= {key: value for key, value in chunk.items() if key != "choices" and value is not None}
        part = _choice(chunk)
        written = part.get("message") or part.get("delta") or {}
        written = written if isinstance(written, Mapping) else {"content": written}
        for name, value in written.items():
            both_text = isinstance(value, str) and isinstance(message.get(name), str) and name != "role"
            message[name] = message[name] + value if both_text else value if value is not None else message.get(name)
        choice |= {key: value for key, value in part.items() if key not in ("message", "delta") and value is not None}
    return {**joined, "choices": [choice]} if any(_choice(chunk) for chunk in chunks) else joined


def _choice(chunk: Mapping[str, object]) -> Mapping[str, Any]:
    choices = chunk.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else {}
    return first if isinstance(first, Mapping) else {}


def _finish(chunk: Mapping[str, object]) -> bool:
    return _choice(chunk).get("finish_reason") is not None
