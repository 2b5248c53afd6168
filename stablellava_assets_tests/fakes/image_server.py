"""An images endpoint on loopback: real pictures whose colours come from the request, and faults on a schedule."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import sleep
from typing import Any

from stablellava_assets_tests.fakes.serving import Handler, Server, serving

Fault = Callable[[Mapping[str, Any], int], str | None]
"""What befalls a body when it arrives for this time: an HTTP status, or one of reset, uniform, no_picture, address."""


@dataclass
class Seen:
    """What the server saw: bodies, how often each text was answered with a picture, and what it had at once."""

    bodies: list[dict[str, Any]] = field(default_factory=list)
    arrived: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    most_at_once: int = 0


def picture_of(body: Mapping[str, Any], *, uniform: bool = False) -> bytes:
    """Noise drawn from the body, as JPEG."""
    import numpy as np
    from PIL import Image

    width, height = (int(side) for side in body["size"].split("x"))
    seed = int(hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:8], 16)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if uniform:
        pixels[:] = 9
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "JPEG")
    return encoded.getvalue()


@contextmanager
def image_server(
    fault: Fault = lambda body, arrival: None,
    usage: Mapping[str, int] | None = None,
    latency_s: float = 0,
    finished: Callable[[bytes], bytes] = lambda jpeg: jpeg,
) -> Iterator[tuple[str, Seen]]:
    """A server in threads of this process: its ``base_url``, and what it sees as it sees it.

    ``finished`` makes of each JPEG the file that is sent.
    """
    seen, lock = Seen(), threading.Lock()

    class Images(Handler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                seen.bodies.append(body)
                seen.arrived[body["prompt"]] += 1
                arrival = seen.arrived[body["prompt"]]
                seen.at_once += 1
                seen.most_at_once = max(seen.most_at_once, seen.at_once)
            sleep(latency_s)
            try:
                assert self.path == "/v1/images/generations"
                self._answer(body, fault(body, arrival))
            finally:
                with lock:
                    seen.at_once -= 1

        def _answer(self, body: Mapping[str, Any], wrong: str | None) -> None:
            if wrong == "reset":
                self.connection.close()
                self.close_connection = True
                return
            if wrong and wrong.isdigit():
                self._write(int(wrong), {"error": {"message": f"scripted {wrong}", "code": None}})
                return
            picture = b"no picture" if wrong == "no_picture" else finished(picture_of(body, uniform=wrong == "uniform"))
            entry = {"b64_json": base64.b64encode(picture).decode()}
            if wrong == "address":
                entry = {"url": "http://127.0.0.1/picture.png"}
            with lock:
                seen.answered[body["prompt"]] += 1
            self._write(200, {"created": 1, "data": [entry], **({"usage": dict(usage)} if usage else {})})

        def _write(self, status: int, answer: Mapping[str, Any]) -> None:
            self.send(status, json.dumps(answer).encode())

    with serving(Server(Images)) as address:
        yield f"{address}/v1", seen
