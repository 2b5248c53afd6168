"""A chat server on loopback: OpenAI's protocol, scripted answers, faults on a seeded schedule, and a count of it all.

As a process of its own: ``python -m stablellava_assets_tests.fakes.loopback '{"latency_s": 0.2}'`` writes its address
to stdout and tells at ``GET /counts`` what it saw.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from email.utils import formatdate
from time import monotonic, time
from typing import Any

TRANSIENT = (
    "429",
    "429_seconds",
    "429_date",
    "429_ms",
    "500",
    "503",
    "slow",
    "reset",
    "half",
    "not_json",
    "no_completion",
)
LASTING = ("empty", "broken_answer", "wrong_answer", "wrong_for_good", "refusal", "length", "400")
FAULTS = (*TRANSIENT, *LASTING)
FATAL_FAULTS = {"wrong_for_good", "refusal", "length", "400"}
"""Lasting faults that no repair mends."""

REPAIR = "This cannot be used"
"""How the message begins by which a repair is known."""

Answer = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class Script:
    """How the server behaves.

    A share ``fault_share`` of what arrives meets a fault. Lasting faults are a property of the conversation (its repair
    included), drawn by hash; transient ones are drawn for each arrival. ``most_at_once`` makes it answer 429 to
    whatever comes while it has that many under way. With ``key`` it wants that key, and repeats it in all it says.
    """

    latency_s: float = 0.0
    fault_share: float = 0.0
    faults: tuple[str, ...] = FAULTS
    seed: int = 0
    retry_after_s: float = 0.1
    slow_s: float = 2.0
    most_at_once: int | None = None
    key: str | None = None
    prompt_tokens: int = 100
    completion_tokens: int = 20
    headers: Mapping[str, str] = field(default_factory=dict)

    def lasting_fault(self, conversation: str) -> str | None:
        """What is wrong with every answer to a conversation (see :func:`conversation_of`); None for nothing."""
        lasting = [fault for fault in self.faults if fault in LASTING]
        return self._draw(lasting, conversation)

    def transient_fault(self, body: str, arrival: int) -> str | None:
        """What befalls a body when it arrives for this time; None for nothing."""
        transient = [fault for fault in self.faults if fault in TRANSIENT]
        return self._draw(transient, f"{body} {arrival}")

    def _draw(self, faults: list[str], salt: str) -> str | None:
        number = int.from_bytes(hashlib.blake2b(f"{self.seed} {salt}".encode(), digest_size=8).digest())
        share = self.fault_share * len(faults) / len(self.faults)
        return faults[number % len(faults)] if faults and number / 2**64 < share else None


def digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=8).hexdigest()


def conversation_of(body: Mapping[str, Any]) -> str:
    """A digest of the messages, a repair's being that of the request it mends."""
    messages = body["messages"]
    return digest(messages[:-2] if str(messages[-1]["content"]).startswith(REPAIR) else messages)


def echo(body: Mapping[str, Any]) -> str:
    """The answer unless another is given: ``{"text": ...}`` with the first line of the first message's text."""
    return json.dumps({"text": str(body["messages"][0]["content"]).partition("\n")[0]})


@dataclass
class Counts:
    """What the server saw, by digest of the body."""

    arrived: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    """Complete answers that were written to a connection that was still open."""
    faults: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, Any] = field(default_factory=dict)
    """Every body, where the server runs in the test's process; else nothing, so that its memory does not count."""
    paths: set[str] = field(default_factory=set)
    """Where the bodies were sent, likewise."""
    headers: list[Mapping[str, str]] = field(default_factory=list)
    """Those of every body, by name in lower case, likewise."""
    arrivals: list[float] = field(default_factory=list)
    """Seconds of the monotonic clock at which something arrived."""
    at_once: int = 0
    most_at_once: int = 0


class _Connection(asyncio.Protocol):
    """One connection, kept open from request to request."""

    def __init__(self, script: Script, answer: Answer, counts: Counts, keep_bodies: bool) -> None:
        self._script, self._answer, self._counts, self._keep = script, answer, counts, keep_bodies
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        method, path, _ = first.split(" ")
        if method == "GET" and path == "/counts":
            self._write(200, json.dumps({**vars(self._counts), "paths": []}))
        elif path != "/v1/chat/completions" and not path.startswith("/v1/openai/deployments/"):
            self._write(404, _error("no such address"))
        elif self._script.key and self._script.key not in (
            headers.get("authorization", "") + headers.get("api-key", "")
        ):
            self._write(401, _error(f"Incorrect key {headers.get('authorization')}"))
        else:
            if self._keep:
                self._counts.paths.add(path)
                self._counts.headers.append(headers)
            self._take(json.loads(rest[:length]))

    def _take(self, body: Mapping[str, Any]) -> None:
        counts, script = self._counts, self._script
        key = digest(body)
        counts.arrivals.append(monotonic())
        counts.arrived[key] += 1
        if self._keep:
            counts.bodies[key] = body
        counts.at_once += 1
        counts.most_at_once = max(counts.most_at_once, counts.at_once)
        fault = script.transient_fault(key, counts.arrived[key]) or script.lasting_fault(conversation_of(body))
        if script.most_at_once is not None and counts.at_once > script.most_at_once:
            fault = "429"
        quick = fault is not None and fault[0] in "45"
        wait = 0.0 if quick else script.slow_s if fault == "slow" else script.latency_s
        asyncio.get_running_loop().call_later(wait, self._respond, key, body, fault)

    def _respond(self, key: str, body: Mapping[str, Any], fault: str | None) -> None:
        counts, script = self._counts, self._script
        counts.at_once -= 1
        if self._transport.is_closing():
            return
        if fault is not None:
            counts.faults[fault] += 1
        said = f"as {script.key} asked" if script.key else "as scripted"
        if fault == "reset":
            self._transport.abort()
        elif fault == "400":
            self._write(400, _error(f"unsupported value {said}"))
        elif fault in ("500", "503"):
            self._write(int(fault), _error(f"server error {said}"))
        elif fault is not None and fault.startswith("429"):
            self._write(429, _error(f"slow down {said}"), self._retry_after(fault))
        elif fault == "not_json":
            self._write(200, "<html>502 Bad Gateway</html>")
        elif fault == "no_completion":
            self._write(200, '{"object": "list", "data": []}')
        elif fault == "half":
            self._write(200, self._completion(body, None), cut=True)
        else:
            counts.answered[key] += 1
            self._write(200, self._completion(body, fault), script.headers)

    def _retry_after(self, fault: str) -> dict[str, str]:
        seconds = self._script.retry_after_s
        return {
            "429_seconds": {"Retry-After": f"{seconds}"},
            "429_ms": {"retry-after-ms": f"{1000 * seconds}"},
            "429_date": {"Retry-After": formatdate(time() + seconds, usegmt=True)},
        }.get(fault, {})

    def _completion(self, body: Mapping[str, Any], fault: str | None) -> str:
        script = self._script
        repaired = str(body["messages"][-1]["content"]).startswith(REPAIR)
        message: dict[str, Any] = {"role": "assistant", "content": self._answer(body)}
        finish = "stop"
        if fault == "refusal":
            message |= {"content": None, "refusal": f"I cannot help, {script.key or 'sorry'}"}
        elif fault == "length":
            message["content"], finish = message["content"][:-3], "length"
        elif fault == "wrong_for_good":
            message["content"] = '{"unexpected": 1}'
        elif not repaired and fault is not None:
            message["content"] = {"empty": "", "broken_answer": '{"text": "unfin', "wrong_answer": "[1, 2]"}.get(fault)
        return json.dumps(
            {
                "id": "chatcmpl-loopback",
                "object": "chat.completion",
                "created": 0,
                "model": body["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
                "usage": {
                    "prompt_tokens": script.prompt_tokens,
                    "completion_tokens": script.completion_tokens,
                    "total_tokens": script.prompt_tokens + script.completion_tokens,
                },
            }
        )

    def _write(self, status: int, text: str, headers: Mapping[str, str] | None = None, *, cut: bool = False) -> None:
        content = text.encode()
        lines = [
            f"HTTP/1.1 {status} -",
            "content-type: application/json",
            f"content-length: {len(content)}",
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        self._transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content[: len(content) // 2 if cut else None])
        if cut:
            self._transport.close()


def _error(message: str) -> str:
    return json.dumps({"error": {"message": message, "type": "scripted", "code": None}})


async def _listen(script: Script, answer: Answer, counts: Counts, keep_bodies: bool) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: _Connection(script, answer, counts, keep_bodies), "127.0.0.1", 0, backlog=1024
    )


def _address(server: asyncio.Server) -> str:
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@contextmanager
def loopback(
    script: Script | None = None, answer: Answer = echo, *, keep_bodies: bool = True
) -> Iterator[tuple[str, Counts]]:
    """A server in a thread of this process: its ``base_url``, and what it sees as it sees it."""
    counts = Counts()
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(_listen(script or Script(), answer, counts, keep_bodies))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"{_address(server)}/v1", counts
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.close()


@contextmanager
def loopback_process(script: Script) -> Iterator[tuple[str, Callable[[], Counts]]]:
    """A server in a process of its own: its ``base_url``, and a function that fetches what it saw."""
    command = [sys.executable, "-m", __name__, json.dumps(asdict(script))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()

            def counts() -> Counts:
                opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                with opener.open(f"{address}/counts") as response:
                    seen = json.load(response)
                counters = {name: Counter(seen[name]) for name in ("arrived", "answered", "faults")}
                return Counts(**{**seen, **counters, "paths": set()})

            yield f"{address}/v1", counts
        finally:
            process.kill()


async def _main(script: Script) -> None:
    server = await _listen(script, echo, Counts(), keep_bodies=False)
    print(_address(server), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(Script(**json.loads(sys.argv[1]))))
