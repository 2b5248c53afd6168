"""OpenAI's Files and Batch endpoints on loopback, as their documentation has them, and a count of what they were asked.

A batch is validated and worked on when somebody looks at it: each look takes it one step
further, as time does in earnest.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stablellava_assets_tests.fakes.loopback import echo
from stablellava_assets_tests.fakes.raw_server import completion
from stablellava_assets_tests.fakes.serving import Handler, Server, serving

PATH = "/v1/chat/completions"
MOST_REQUESTS, MOST_BYTES = 50_000, 200_000_000

Line = Mapping[str, Any]


@dataclass
class BatchScript:
    """How the server behaves.

    ``end`` is how every batch ends; unless it completes, it has answered so many as ``answered_before_end`` says.
    ``result`` says what becomes of a line instead of its answer: an HTTP status, or None. ``at`` is called with the
    name of an event (``uploaded``, ``creating``, ``created``, ``looked``) before the response to it is written; what it
    returns is the status of that response if it is one, and ``drop`` cuts the connection without any.
    """

    looks_until_done: int = 2
    end: str = "completed"
    answered_before_end: int = 0
    error: Mapping[str, Any] | None = None
    answer: Callable[[Mapping[str, Any]], str] = echo
    result: Callable[[Line], int | None] = lambda line: None
    at: Callable[[str], int | str | None] = lambda event: None
    key: str | None = None


@dataclass
class Files:
    """What the server holds."""

    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: Counter[str] = field(default_factory=Counter)
    executed: Counter[str] = field(default_factory=Counter)
    """How often each request (by its custom_id) was answered, which is what one pays for."""

    def lines_of(self, batch_id: str) -> list[Line]:
        """The requests of a batch."""
        content = self.contents[self.batches[batch_id]["input_file_id"]]
        return [json.loads(line) for line in content.splitlines()]


class _Server(Server):
    def __init__(self, script: BatchScript, held: Files) -> None:
        super().__init__(_Handler)
        self.script, self.held = script, held
        self.numbers = itertools.count(1)
        self.lock = threading.RLock()


class _Handler(Handler):
    server: _Server

    def do_GET(self) -> None:
        self._handle("GET")

    def do_POST(self) -> None:
        self._handle("POST")

    def _handle(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        key = self.server.script.key
        if key is not None and self.headers.get("authorization") != f"Bearer {key}":
            self._error(401, f"Incorrect API key provided: {self.headers.get('authorization')}", "invalid_api_key")
            return
        url = urlsplit(self.path)
        match method, url.path.removeprefix("/v1/").split("/"):
            case "POST", ["files"]:
                self._upload(body)
            case "GET", ["files", file_id, "content"]:
                self._content(file_id)
            case "POST", ["batches"]:
                self._create(json.loads(body))
            case "GET", ["batches"]:
                self._list(parse_qs(url.query))
            case "GET", ["batches", batch_id]:
                self._look(batch_id)
            case _:
                self._error(404, f"Invalid URL ({method} {self.path})", None)

    def _upload(self, body: bytes) -> None:
        head = f"content-type: {self.headers['content-type']}\r\n\r\n".encode()
        parts = BytesParser(policy=HTTP).parsebytes(head + body)
        fields = {part.get_param("name", header="content-disposition"): part for part in parts.iter_parts()}
        content, purpose = (fields[name].get_payload(decode=True) for name in ("file", "purpose"))
        assert isinstance(content, bytes)
        if purpose != b"batch" or len(content) > MOST_BYTES:
            self._error(400, "Invalid file", "invalid_file")
            return
        file_id = f"file-{next(self.server.numbers)}"
        described = {
            "id": file_id,
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "filename": fields["file"].get_filename(),
            "purpose": "batch",
            "status": "processed",
        }
        self.server.held.files[file_id] = described
        self.server.held.contents[file_id] = content
        self._write(200, described, event="uploaded")

    def _content(self, file_id: str) -> None:
        content = self.server.held.contents.get(file_id)
        if content is None:
            self._error(404, f"No such File object: {file_id}", None)
        else:
            self.send(200, content)

    def _create(self, asked: Mapping[str, Any]) -> None:
        server, held = self.server, self.server.held
        if asked["input_file_id"] not in held.files or (asked["endpoint"], asked["completion_window"]) != (PATH, "24h"):
            self._error(400, "Invalid batch", "invalid_request")
            return
        if self._event("creating"):
            return
        now = int(time.time())
        batch = {
            "id": f"batch_{next(server.numbers)}",
            "object": "batch",
            "endpoint": asked["endpoint"],
            "errors": None,
            "input_file_id": asked["input_file_id"],
            "completion_window": "24h",
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": now,
            "expires_at": now + 86_400,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": asked.get("metadata"),
        }
        with server.lock:
            held.batches[batch["id"]] = batch
        self._write(200, batch, event="created")

    def _list(self, query: Mapping[str, list[str]]) -> None:
        with self.server.lock:
            newest_first = list(reversed(self.server.held.batches.values()))
        after, limit = query.get("after", [""])[0], int(query.get("limit", ["20"])[0])
        at = next((index + 1 for index, batch in enumerate(newest_first) if batch["id"] == after), 0)
        page = newest_first[at : at + min(limit, 2)]
        more = at + len(page) < len(newest_first)
        ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {}
        self._write(200, {"object": "list", "data": page, "has_more": more, **ends})

    def _look(self, batch_id: str) -> None:
        held = self.server.held
        if batch_id not in held.batches:
            self._error(404, f"No batch found with id '{batch_id}'.", None)
            return
        with self.server.lock:
            held.looks[batch_id] += 1
            batch = held.batches[batch_id]
            if batch["status"] in ("validating", "in_progress"):
                if (problem := self._problem(batch_id)) is not None:
                    batch |= {"status": "failed", "errors": {"object": "list", "data": [problem]}}
                elif held.looks[batch_id] > self.server.script.looks_until_done:
                    self._end(batch)
                else:
                    batch["status"] = "in_progress"
        self._write(200, batch, event="looked")

    def _problem(self, batch_id: str) -> Mapping[str, Any] | None:
        """What is wrong with a whole file."""
        script, held = self.server.script, self.server.held
        if script.end == "failed":
            return script.error
        lines = held.lines_of(batch_id)
        problems = {
            "too_many_tasks": len(lines) > MOST_REQUESTS,
            "empty_file": not lines,
            "duplicate_custom_id": len({line["custom_id"] for line in lines}) < len(lines),
            "mismatched_model": len({line["body"]["model"] for line in lines}) > 1,
            "invalid_url": any((line["method"], line["url"]) != ("POST", PATH) for line in lines),
        }
        found = next((code for code, wrong in problems.items() if wrong), None)
        return None if found is None else {"code": found, "message": "see the file", "line": None, "param": None}

    def _end(self, batch: dict[str, Any]) -> None:
        script, held = self.server.script, self.server.held
        lines = held.lines_of(batch["id"])
        done = len(lines) if script.end == "completed" else script.answered_before_end
        good, bad = [], []
        for number, line in enumerate(lines):
            result: dict[str, Any] = {"id": f"batch_req_{number}", "custom_id": line["custom_id"], "error": None}
            status = script.result(line)
            if number >= done:
                error = {"code": f"batch_{script.end}", "message": "This request could not be executed in time."}
                bad.append({**result, "response": None, "error": error})
            elif status is not None:
                said = {"error": {"message": f"cannot, as {script.key} asked", "code": None}}
                bad.append({**result, "response": {"status_code": status, "request_id": "r", "body": said}})
            else:
                held.executed[line["custom_id"]] += 1
                text = script.answer(line["body"])
                said = completion(text, id="chatcmpl-batch", created=0, model=line["body"]["model"])
                good.append({**result, "response": {"status_code": 200, "request_id": "r", "body": said}})
        # The order of the results is not that of the requests.
        batch |= {
            "status": script.end,
            "output_file_id": self._keep(list(reversed(good))),
            "error_file_id": self._keep(bad),
            "request_counts": {"total": len(lines), "completed": len(good), "failed": len(bad)},
        }

    def _keep(self, results: list[dict[str, Any]]) -> str | None:
        if not results:
            return None
        file_id = f"file-{next(self.server.numbers)}"
        content = "".join(f"{json.dumps(result)}\n" for result in results)
        self.server.held.contents[file_id] = content.encode()
        return file_id

    def _event(self, event: str) -> bool:
        """Whether the script has settled the response to an event."""
        what = self.server.script.at(event)
        if what == "drop":
            self.close_connection = True
        elif isinstance(what, int):
            self._error(what, "as scripted", None)
        return what is not None

    def _write(self, status: int, document: Mapping[str, Any], event: str | None = None) -> None:
        if event is None or not self._event(event):
            self.send(status, json.dumps(document).encode())

    def _error(self, status: int, message: str, code: str | None) -> None:
        self.send(status, json.dumps({"error": {"message": message, "type": "scripted", "code": code}}).encode())


@contextmanager
def batch_server(script: BatchScript | None = None) -> Iterator[tuple[str, Files]]:
    """A server in a thread of this process: its ``base_url``, and what it holds."""
    held = Files()
    with serving(_Server(script or BatchScript(), held)) as address:
        yield f"{address}/v1", held
