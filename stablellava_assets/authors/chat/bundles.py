"""Bundles of rows that are written in one request, and their reuse from the ledger."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from typing import Protocol, Self, TypeVar

from pydantic import BaseModel

from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.endpoint.requests import ChatOutcome, ChatRequest
from stablellava_assets.endpoint.resolution import resolve
from stablellava_assets.tables.schemas import MADE


class RowBundle(Protocol):
    """Several rows that are written in one request, identified by their ids."""

    @property
    def row_ids(self) -> Sequence[str]:
        """The ids of the rows, in order."""
        ...

    @property
    def failed_before(self) -> Container[str]:
        """Ids of rows (of this bundle and others) that were requested before and failed,
        possibly in requests of their own."""
        ...

    def chat_request(self) -> ChatRequest:
        """The request to send. Created lazily, since it may hold an image."""
        ...

    def only(self, row_ids: Sequence[str]) -> Self:
        """A request for some of the rows."""
        ...

    def written(self, answer: BaseModel, row_id: str) -> BaseModel:
        """The part of an answer that belongs to a row."""
        ...


B = TypeVar("B", bound=RowBundle)


def split_as_paid(bundle: B, ledger: Ledger | None, request_of: Callable[[B], ChatRequest]) -> Iterator[B]:
    """The bundle; or one request for each row whose own answer is in the ledger and readable,
    and one for the remaining rows.

    Rows of an unreadable bundle answer are requested one by one. If some of them fail again, the failed rows would form
    a new bundle, and its answer would be paid for again.
    """
    failed = [row_id for row_id in bundle.row_ids if row_id in bundle.failed_before]
    if ledger is None or not failed or len(bundle.row_ids) == 1 or _has_answered(ledger, request_of(bundle)):
        yield bundle
        return
    alone = {row_id: bundle.only([row_id]) for row_id in failed}
    paid = {row_id: own for row_id, own in alone.items() if _can_be_read(ledger, request_of(own))}
    yield from paid.values()
    if rest := [row_id for row_id in bundle.row_ids if row_id not in paid]:
        yield bundle.only(rest)


def _has_answered(ledger: Ledger, request: ChatRequest) -> bool:
    entry = ledger.find(request.request_id)
    return entry is not None and entry.reply is not None


def _can_be_read(ledger: Ledger, request: ChatRequest) -> bool:
    step = resolve(ledger, request)
    return isinstance(step, ChatOutcome) and step.status == MADE
