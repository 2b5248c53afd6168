"""What the files that a batch leaves behind say of each of its requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from openai.types import Batch

from stablellava_assets.endpoint.batch_ledger import Result, Unanswered
from stablellava_assets.endpoint.prices import Price
from stablellava_assets.endpoint.replies import UnreadableReplyError, one_line, reply_of

_REFUSED = {400, 413, 422}


def results_of(lines: Iterable[Mapping[str, Any]], price: Price | None) -> dict[str, Result]:
    """The results in the lines of an output or an error file, by the id of their request."""
    return {line["custom_id"]: _result(line, price) for line in lines}


def missing_from(batch: Batch) -> Unanswered:
    """What became of the requests that a batch, ended as it did, has no result of."""
    if batch.status == "failed":
        errors = (batch.errors and batch.errors.data) or []
        said = "; ".join(f"{error.code}: {error.message}" for error in errors[:3])
        return Unanswered(one_line(f"batch {batch.id} failed: {said or 'no reason given'}"))
    if batch.status == "completed":
        # Neither answered nor refused: whoever cannot say what happened has perhaps charged for it.
        return Unanswered(f"batch {batch.id} is complete but says nothing of this request", charged=True)
    return Unanswered(f"batch {batch.id} was {batch.status} before this request was answered")


def has_no_model(batch: Batch) -> bool:
    """Whether a batch failed because there is no such model."""
    errors = (batch.errors and batch.errors.data) or []
    return any(error.code == "model_not_found" for error in errors)


def _result(line: Mapping[str, Any], price: Price | None) -> Result:
    error, response = line.get("error"), line.get("response")
    if error or not response:
        error = error or {}
        return Unanswered(one_line(f"{error.get('code')}: {error.get('message')}"))
    status, body = response.get("status_code"), response.get("body")
    if status != 200:
        message = body.get("error", {}).get("message") if isinstance(body, Mapping) else body
        return Unanswered(one_line(f"HTTP {status}: {message}"), for_good=status in _REFUSED)
    try:
        reply = reply_of(body)
    except UnreadableReplyError as unreadable:
        return Unanswered(str(unreadable), charged=True)
    return reply, reply.cost(price)
