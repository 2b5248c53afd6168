"""A server on loopback that answers each POST with just the bytes that a test gives it, as servers of other makes
do."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from stablellava_assets_tests.fakes.serving import Handler, Server, serving

Sent = tuple[int, Any] | tuple[int, Any, Mapping[str, str]]
"""Status, content (bytes as they are, all else as JSON), and headers."""


@contextmanager
def raw_server(
    respond: Callable[[dict[str, Any], int], Sent], tls: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Its ``base_url``, and the bodies that it was sent; ``respond`` gets each with how many came before it."""
    bodies: list[dict[str, Any]] = []
    lock = threading.Lock()

    class Raw(Handler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(bodies)
                bodies.append(body)
            status, content, *headers = respond(body, number)
            encoded = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send(status, encoded, *headers)

    with serving(Server(Raw), tls) as address:
        yield f"{address}/v1", bodies


def completion(message: Any, *, finish: Any = "stop", **changes: Any) -> dict[str, Any]:
    """A chat completion with this message, or with this text."""
    message = message if isinstance(message, dict) else {"role": "assistant", "content": message}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage, **changes}
