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
from email import message_from_bytes
from time import sleep
from typing import Any

from stablellava_assets_tests.fakes.serving import Handler, Server, serving

EDITS = "/v1/images/edits"

Fault = Callable[[Mapping[str, Any], int], str | None]
"""What befalls a body when it arrives for this time: an HTTP status, or one of reset, uniform, no_picture, address."""


@dataclass
class Seen:
    """What the server saw: bodies, files to edit by the text of their body, and what it had at once.

    It counts how often each text arrived, and was answered with a picture.
    """

    bodies: list[dict[str, Any]] = field(default_factory=list)
    edited: dict[str, bytes] = field(default_factory=dict)
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


def _form(content_type: str, sent: bytes) -> tuple[dict[str, Any], bytes]:
    """The fields of a form, and the file in it."""
    parsed = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + sent)
    fields, files = {}, []
    for part in parsed.walk():
        content, name = part.get_payload(decode=True), part.get_param("name", header="content-disposition")
        if isinstance(content, bytes):
            assert isinstance(name, str)
            if part.get_filename() is None:
                fields[name] = content.decode()
            else:
                assert (name, part.get_filename(), part.get_content_type()) == ("image", "image.png", "image/png")
                files.append(content)
    (file,) = files
    return fields, file


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
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            body, edited = _form(self.headers["Content-Type"], sent) if self.path == EDITS else (json.loads(sent), None)
            with lock:
                if edited is not None:
                    seen.edited[body["prompt"]] = edited
                seen.bodies.append(body)
                seen.arrived[body["prompt"]] += 1
                arrival = seen.arrived[body["prompt"]]
                seen.at_once += 1
                seen.most_at_once = max(seen.most_at_once, seen.at_once)
            sleep(latency_s)
            try:
                assert self.path in (EDITS, "/v1/images/generations")
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
