"""An S3 server on loopback, and a proxy before it that counts requests and does what networks and full disks do.

As a process of its own, moto: ``python -m stablellava_assets_tests.fakes.object_store`` writes its address to stdout.
"""

from __future__ import annotations

import http.client
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest

from stablellava_assets_tests.fakes.serving import Handler, Server, serving

SERVER_VARIABLE = "STABLELLAVA_TEST_S3"
"""Address of a running S3 server to test against instead of moto."""

SECRET = "a-secret-key-that-must-not-be-told"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}

Fault = Callable[["Request"], str | None]
"""What befalls a request: None, ``reset``, ``cut`` (half an answer), ``slow``, or an error code of S3."""

_STATUS = {
    "SlowDown": 503,
    "ServiceUnavailable": 503,
    "InternalError": 500,
    "InvalidAccessKeyId": 403,
    "SignatureDoesNotMatch": 403,
    "AccessDenied": 403,
    "XMinioStorageFull": 507,
}


@dataclass(frozen=True)
class Request:
    """A request: its operation (LIST, GET, HEAD, PUT, PART, BEGIN, COMPLETE, ABORT, DELETE), and path."""

    operation: str
    path: str


@dataclass
class Seen:
    """What passed the proxy, by operation; ``sent`` counts the bytes of contents that clients were sent."""

    requests: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    sent: int = 0

    def clear(self) -> None:
        """Start counting again."""
        self.requests.clear()
        self.faults.clear()
        self.sent = 0


@contextmanager
def object_store() -> Iterator[str]:
    """Address of an S3 server that is empty, or that ``STABLELLAVA_TEST_S3`` names."""
    if running := os.environ.get(SERVER_VARIABLE):
        yield running
        return
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address, "moto did not start"
            yield address
        finally:
            process.kill()


def make_bucket(address: str, name: str) -> None:
    """Create a bucket."""
    request = urllib.request.Request(f"{address}/{name}", method="PUT")
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).close()


@dataclass(frozen=True)
class S3:
    """A server and the URL of a bucket on it."""

    server: str
    url: str


@contextmanager
def s3_client(monkeypatch: pytest.MonkeyPatch, address: str, **environment: str) -> Iterator[None]:
    """Let this process, and those that it starts, use the server at an address."""
    import s3fs

    with monkeypatch.context() as patched:
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": address, **environment}.items():
            patched.setenv(name, value)
        # fsspec keeps what it opened, with the environment of that time.
        s3fs.S3FileSystem.clear_instance_cache()
        yield
    s3fs.S3FileSystem.clear_instance_cache()


@contextmanager
def faulty(address: str, fault: Fault = lambda request: None, slow_s: float = 3.0) -> Iterator[tuple[str, Seen]]:
    """Address of a proxy before ``address``, and what it saw."""
    seen = Seen()
    lock = threading.Lock()
    behind = urlsplit(address)
    assert behind.hostname is not None

    class Proxy(Handler):
        def _pass_on(self) -> None:
            request = Request(_operation(self.command, self.path), self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with lock:
                seen.requests[request.operation] += 1
                befalls = fault(request)
                if befalls is not None:
                    seen.faults[befalls] += 1
            if befalls == "reset":
                self._reset()
                return
            if befalls == "slow":
                time.sleep(slow_s)
            elif befalls in _STATUS:
                told = f"<Error><Code>{befalls}</Code><Message>as scripted</Message></Error>"
                self.send(_STATUS[befalls], told.encode(), {"Content-Type": "application/xml"})
                return
            connection = http.client.HTTPConnection(str(behind.hostname), behind.port, timeout=60)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "connection", "content-length", "server", "date"):
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            if befalls == "cut":
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                self._reset()
                return
            with lock:
                seen.sent += len(content)
            self.wfile.write(content)

        def _reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on

        def handle(self) -> None:
            # Clients that are killed, and our own resets.
            try:
                super().handle()
            except (OSError, ValueError):
                return

        def finish(self) -> None:
            try:
                super().finish()
            except (OSError, ValueError):
                return

    with serving(Server(Proxy)) as proxied:
        yield proxied, seen


def _operation(method: str, path: str) -> str:
    query = parse_qs(urlsplit(path).query, keep_blank_values=True)
    if method == "POST":
        return "BEGIN" if "uploads" in query else "COMPLETE" if "uploadId" in query else "DELETE"
    if "uploadId" in query:
        return "PART" if method == "PUT" else "ABORT"
    if method == "GET" and "list-type" in query:
        return "LIST"
    return method


def _main() -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    _main()
