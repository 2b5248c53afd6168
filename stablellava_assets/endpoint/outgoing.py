"""What is to be sent next: new requests as they are submitted, and those that are sent again when their pause is over."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from stablellava_assets.endpoint.estimates import prompt_size, worst_cost
from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.endpoint.prices import Price
from stablellava_assets.endpoint.requests import ChatOutcome, ChatRequest, ImageRequest, body_of
from stablellava_assets.endpoint.resolution import resolve
from stablellava_assets.endpoint.settings import EndpointSettings


@dataclass
class Item:
    """A request on its way, and what is to be sent for it: itself, then perhaps its repair."""

    request: ChatRequest
    to_send: ChatRequest
    body: Mapping[str, Any]
    worst: Decimal | None
    likely_tokens: int
    tries: int = 0
    pauses: int = 0
    paid: list[str] = field(default_factory=list)


class Outgoing:
    """A queue of new requests, which any thread may fill, and of those to be sent again.

    Args:
        known: receives the outcomes of requests that the ledger can answer.
    """

    def __init__(
        self,
        settings: EndpointSettings,
        ledger: Ledger,
        price: Price | None,
        known: Callable[[ChatOutcome], None],
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._price = price
        self._known = known
        self._submitted: deque[ChatRequest] = deque()
        self._again: list[tuple[float, int, Item]] = []
        self._number = 0
        self._times_asked: dict[str, int] = {}
        self.starving = True
        """Whether a new request was looked for and none was there."""

    def submit(self, request: ChatRequest) -> None:
        """Enqueue a request."""
        self._submitted.append(request)

    def take_new(self) -> Item | None:
        """The next request that is to be sent for the first time, if there is one yet."""
        self.starving = True
        while self._submitted:
            request = self._submitted.popleft()
            asked = self._times_asked[request.request_id] = self._times_asked.get(request.request_id, 0) + 1
            if asked > 1:
                continue
            step = resolve(self._ledger, request)
            if isinstance(step, ChatRequest):
                self.starving = False
                return self.item(request, step)
            self._known(step)
        return None

    def take_again(self, now: float) -> Item | None:
        """The next item that is to be sent again by now, if there is one."""
        return heapq.heappop(self._again)[2] if self._again and self._again[0][0] <= now else None

    def put_again(self, item: Item, at: float) -> None:
        """Send an item again, not before this time."""
        self._number += 1
        heapq.heappush(self._again, (at, self._number, item))

    @property
    def next_again(self) -> float | None:
        """When the next item is to be sent again; None if none is."""
        return self._again[0][0] if self._again else None

    def item(self, request: ChatRequest, to_send: ChatRequest) -> Item:
        """An item that sends this for a request."""
        body = body_of(self._settings, to_send)
        size = prompt_size(body)
        worst = worst_cost(size, to_send.max_output_tokens, self._price, int(isinstance(to_send, ImageRequest)))
        return Item(request, to_send, body, worst, size.likely_tokens + to_send.max_output_tokens)

    def times_asked(self, request_id: str) -> int:
        """How often a request was submitted that is now finished; asked once more, it is a new one."""
        return self._times_asked.pop(request_id)
