"""What a batch says of itself, and what the files that it leaves behind say of each of its requests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stablellava_assets.endpoint.batch.ledger import Result, Unanswered
from stablellava_assets.endpoint.prices import Price
from stablellava_assets.endpoint.replies.complaints import Complaint, complaint_in, complaint_of, one_line
from stablellava_assets.endpoint.replies.refusals import RefusedError, error_of
from stablellava_assets.endpoint.replies.replies import ComplaintError, UnreadableReplyError, reply_of
from stablellava_assets.endpoint.requests import EndpointError
from stablellava_assets.endpoint.settings import EndpointSettings

_COMPLETED = {
    *("completed", "complete", "succeeded", "success", "done", "finished", "ended"),
    *(
        "partially_completed",
        "partially_succeeded",
        "partial_success",
        "completed_with_errors",
        "completed_with_failures",
    ),
}
_FAILED = {"failed", "failure", "error", "errored", "rejected", "invalid", "deleted", "terminated", "killed"}
_UNFINISHED = {"expired", "cancelled", "canceled", "timeout", "timeout_exceeded", "aborted"}
_UNDER_WAY = {
    *(
        "validating",
        "in_progress",
        "finalizing",
        "cancelling",
        "canceling",
        "cancellation_requested",
        "queued",
        "running",
    ),
    *(
        "pending",
        "processing",
        "preprocessing",
        "postprocessing",
        "created",
        "submitted",
        "accepted",
        "scheduled",
        "starting",
    ),
    *("started", "active", "waiting"),
}
_EXAMPLES = 2


@dataclass(frozen=True)
class Standing:
    """A batch as the endpoint describes it, whatever else it leaves out. ``status`` is as it says, lower case."""

    batch_id: str
    status: str
    files: tuple[str, ...] = ()
    """Ids of the files of results, those of errors included."""
    complaint: Complaint | None = None
    key: str | None = None
    created_at: float | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.status in _COMPLETED | _FAILED | _UNFINISHED

    @property
    def is_under_way(self) -> bool:
        """Whether it says that more will come of it."""
        return self.status in _UNDER_WAY

    @property
    def has_no_model(self) -> bool:
        """Whether it failed because there is no such model."""
        return self.complaint is not None and self.complaint.code == "model_not_found"


@dataclass
class ResultFiles:
    """What the lines of a batch's files say, and which of them say nothing that can be read."""

    results: dict[str, Result] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    complaint: Complaint | None = None
    """What stands in a file in the place of results: an error or a page."""


def standing_of(document: object, key_in_metadata: str) -> Standing | None:
    """A batch from the JSON that describes it; None if it is none."""
    if not isinstance(document, Mapping) or not document.get("id"):
        return None
    files = [document.get(name) for name in ("output_file_id", "error_file_id", "output_file", "error_file")]
    named = tuple(dict.fromkeys(str(file) for file in files if isinstance(file, str | int) and file))
    status = "_".join(re.split(r"[\s_-]+", str(document.get("status") or "").casefold().rpartition(".")[2].strip()))
    status = status.removeprefix("batch_state_").removeprefix("job_state_")
    metadata = document.get("metadata")
    created = document.get("created_at")
    return Standing(
        batch_id=str(document["id"]),
        status=status or ("completed" if named else ""),
        files=named,
        complaint=complaint_of({"errors": _errors_in(document)}),
        key=metadata.get(key_in_metadata) if isinstance(metadata, Mapping) else None,
        created_at=float(created) if isinstance(created, int | float) else None,
    )


def missing_from(batch: Standing, unreadable: Iterable[str] = ()) -> Unanswered:
    """What became of the requests that a batch, ended as it did, has no result of."""
    if batch.status in _FAILED:
        return Unanswered(one_line(f"batch {batch.batch_id} failed: {batch.complaint or 'no reason given'}"))
    if batch.status in _COMPLETED:
        # Neither answered nor refused: whoever cannot say what happened has perhaps charged for it.
        odd = f"; {told_of(list(unreadable))}" if unreadable else ""
        return Unanswered(
            one_line(f"batch {batch.batch_id} is complete but says nothing of this request{odd}"), charged=True
        )
    return Unanswered(f"batch {batch.batch_id} was {batch.status} before this request was answered")


def told_of(unreadable: list[str]) -> str:
    """Lines of results that cannot be read, counted, with the first of them."""
    lines = (
        f"{len(unreadable)} lines of its files cannot be read"
        if len(unreadable) > 1
        else "a line of its files cannot be read"
    )
    return one_line(f"{lines}, for example {'; '.join(unreadable[:_EXAMPLES])}")


def read_results(
    into: ResultFiles, lines: Iterable[str], settings: EndpointSettings, price: Price | None, name: str
) -> None:
    """Read the lines of an output or an error file called ``name``; one that says nothing costs no other.

    Of several lines about a request the first that is an answer counts.
    """
    for number, line in enumerate(lines, 1):
        bare = line.strip().removeprefix("\ufeff").strip()
        if not bare:
            continue
        try:
            document = json.loads(bare)
        except (ValueError, RecursionError):
            into.unreadable.append(f"{name}, line {number}: no JSON: {bare[:60]!r}")
            if bare.startswith("<"):
                into.complaint = into.complaint or complaint_in(bare)
            continue
        for result in document if isinstance(document, list) else [document]:
            request_id = result.get("custom_id") if isinstance(result, Mapping) else None
            if not isinstance(request_id, str | int):
                into.unreadable.append(f"{name}, line {number}: no custom_id: {bare[:60]!r}")
                if isinstance(result, Mapping) and not result.keys() & {"id", "response"}:
                    into.complaint = into.complaint or complaint_of(result)
                continue
            known = into.results.get(str(request_id))
            if known is None or isinstance(known, Unanswered):
                into.results[str(request_id)] = _result(result, settings, price)


def _errors_in(document: Mapping[str, object]) -> Any:
    errors = document.get("errors") or document.get("error")
    return errors.get("data") or errors if isinstance(errors, Mapping) else errors


def _result(line: Mapping[str, object], settings: EndpointSettings, price: Price | None) -> Result:
    response = line.get("response")
    if line.get("error") and not _is_answer(response):
        complaint = complaint_of({"error": line["error"]}) or Complaint(str(line["error"]))
        return _unanswered(settings, _status_of(response), complaint)
    if response is None and line.get("body") is not None:
        response = {"body": line["body"]}
    if not isinstance(response, Mapping):
        return Unanswered(
            one_line(f"the batch has neither answer nor reason: {json.dumps(line, ensure_ascii=False)[:120]}")
        )
    body = response.get("body", response if "choices" in response else None)
    if (status := _status_of(response)) is not None and not 200 <= status < 300:
        said = _from_text(body)
        complaint = complaint_of(said) or Complaint(said if isinstance(said, str) and said else json.dumps(said)[:300])
        return _unanswered(settings, status, complaint)
    try:
        reply = reply_of(body)
    except ComplaintError as error:
        return _unanswered(settings, None, error.complaint, charged=error.charged)
    except UnreadableReplyError as unreadable:
        return Unanswered(str(unreadable), charged=True)
    return replace(reply, model=reply.model or settings.model), reply.cost(price)


def _is_answer(response: object) -> bool:
    body = response.get("body") if isinstance(response, Mapping) else None
    return isinstance(body, Mapping) and bool(body.get("choices"))


def _from_text(body: object) -> Any:
    if not isinstance(body, str):
        return body
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body


def _status_of(response: object) -> int | None:
    status = response.get("status_code") if isinstance(response, Mapping) else None
    try:
        return int(status) if isinstance(status, int | float | str) and not isinstance(status, bool) else None
    except (ValueError, OverflowError):
        return None


def _unanswered(
    settings: EndpointSettings, status: int | None, complaint: Complaint, *, charged: bool = False
) -> Unanswered:
    """Of one request alone: what would be a fault of all where it is asked live, is here one
    that the next run may not have."""
    meaning = error_of(settings, status, complaint, charged=charged)
    if isinstance(meaning, RefusedError):
        return Unanswered(one_line(meaning.reason), refused=meaning)
    if isinstance(meaning, EndpointError):
        return Unanswered(one_line(str(meaning)))
    return Unanswered(one_line(meaning.reason), charged=charged)
