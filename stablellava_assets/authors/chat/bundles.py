"""What one request asks for, and how the ledger can answer the most of it."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from typing import Protocol, Self, TypeVar

from pydantic import BaseModel

from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.endpoint.requests import ChatOutcome, ChatRequest
from stablellava_assets.endpoint.resolution import resolve
from stablellava_assets.tables.schemas import MADE


class Bundle(Protocol):
    """What one request asks for: pieces, each of them a row, known by the row's id."""

    @property
    def row_ids(self) -> Sequence[str]:
        """The rows that are asked for, in order."""
        ...

    @property
    def failed_before(self) -> Container[str]:
        """Rows, of these and others, that were asked for and failed, each perhaps by itself."""
        ...

    def chat_request(self) -> ChatRequest:
        """The request as it is sent; made when it is needed, since it may hold a picture."""
        ...

    def only(self, row_ids: Sequence[str]) -> Self:
        """The request for some of the rows."""
        ...

    def written(self, answer: BaseModel, row_id: str) -> BaseModel:
        """What an answer says for a row."""
        ...


B = TypeVar("B", bound=Bundle)


def as_paid(bundle: B, ledger: Ledger | None, request_of: Callable[[B], ChatRequest]) -> Iterator[B]:
    """The bundle; or, by themselves, the rows whose own answers the ledger has and can be read now, and the rest together.

    Rows of a bundle that could not be read were asked for one by one. Those that failed even so are another bundle than
    before, whose answer would be paid anew.
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
