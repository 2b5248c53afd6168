"""Send requests one by one, as many at once as the endpoint takes, from an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import queue
import random
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import TracebackType
from typing import Any, Self

from stablellava_assets.endpoint.adaptive import AdaptiveLimit
from stablellava_assets.endpoint.estimates import prompt_size, worst_cost
from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.endpoint.pacing import Pace
from stablellava_assets.endpoint.prices import Price
from stablellava_assets.endpoint.progress import Progress
from stablellava_assets.endpoint.replies import Reply, UnreadableReplyError, read_reply
from stablellava_assets.endpoint.requests import (
    BUDGET_REACHED,
    ChatOutcome,
    ChatRequest,
    EndpointError,
    body_of,
)
from stablellava_assets.endpoint.resolution import resolve, unanswered
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.endpoint.transport import RefusedError, Response, Transport, UnavailableError
from stablellava_assets.endpoint.waits import retry_after
from stablellava_assets.tables.schemas import DEFERRED, FAILED

_LAST_ANSWERS_S = 30.0
_GIVEN_UP_IN_A_ROW = 10
_REFUSED_IN_A_ROW = 8
_LONGEST_PAUSE = 10


@dataclass
class _Item:
    """A request on its way, and what is to be sent for it: itself, then perhaps its repair."""

    request: ChatRequest
    to_send: ChatRequest
    body: Mapping[str, Any]
    worst: Decimal | None
    likely_tokens: int
    tries: int = 0
    pauses: int = 0
    paid: list[str] = field(default_factory=list)


class Throttle:
    """What was learned of an endpoint's limits, and the caps a profile sets; they outlive a call."""

    def __init__(self, settings: EndpointSettings) -> None:
        self.limit = AdaptiveLimit(settings.initial_in_flight, settings.max_in_flight)
        self.requests = Pace(settings.requests_per_minute)
        self.tokens = Pace(settings.tokens_per_minute)

    def delay(self, now: float) -> float:
        """Seconds until something may be sent."""
        return max(self.limit.pause(now), self.requests.delay(now), self.tokens.delay(now))


class LiveCall:
    """Requests go in at :meth:`submit`; each comes out of :meth:`next_outcome` once, in the order in which they finish.

    Leaving the context sends nothing more, and waits a while for the answers that are under way, since they are paid.
    """

    def __init__(
        self,
        settings: EndpointSettings,
        ledger: Ledger,
        price: Price | None,
        transport: Transport,
        throttle: Throttle,
        progress: Progress,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._price = price
        self._transport = transport
        self._throttle = throttle
        self._progress = progress
        self._submitted: deque[ChatRequest] = deque()
        self._unfinished = 0
        self._outcomes: queue.SimpleQueue[ChatOutcome | BaseException] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="endpoint", daemon=True)
        self._started = threading.Event()
        # What follows belongs to the event loop.
        self._starving = False
        self._held_back: _Item | None = None
        self._retries: list[tuple[float, int, _Item]] = []
        self._retry_number = 0
        self._same: dict[str, int] = {}
        self._attempts: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._answers = 0
        self._given_up_in_a_row = 0
        self._unavailable: str | None = None
        self._suspects: list[ChatOutcome] = []
        self._stopping = False
        self._no_more = False

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(RuntimeError):  # The loop has ended by itself, after a fault.
            self._loop.call_soon_threadsafe(self._stop)
        self._thread.join()

    @property
    def has_room(self) -> bool:
        """Whether another request should be submitted: memory holds only as many as keep the endpoint busy."""
        return self._unfinished < 2 * self._throttle.limit.limit + 16

    @property
    def unfinished(self) -> int:
        """Requests submitted whose outcome was not taken yet."""
        return self._unfinished

    def submit(self, request: ChatRequest) -> None:
        """Take a request on."""
        self._unfinished += 1
        self._submitted.append(request)
        if self._starving:
            self._starving = False
            self._loop.call_soon_threadsafe(self._pump)

    def no_more(self) -> None:
        """Nothing more will be submitted."""
        self._no_more = True
        self._loop.call_soon_threadsafe(self._pump)

    def next_outcome(self, timeout: float) -> ChatOutcome | None:
        """The next outcome; None if there was none for ``timeout`` seconds.

        Raises:
            EndpointError: no request can be answered with these settings.
            LedgerError: the ledger could not be written.
        """
        try:
            outcome = self._outcomes.get(timeout=timeout)
        except queue.Empty:
            return None
        if isinstance(outcome, BaseException):
            raise outcome
        self._unfinished -= 1
        return outcome

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._outcomes.put(error)
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._fault: BaseException | None = None
        async with self._transport.client() as self._client:
            self._starving = True
            self._started.set()
            await self._stopped.wait()
            if self._attempts:
                _, late = await asyncio.wait(self._attempts, timeout=_LAST_ANSWERS_S)
                for attempt in late:
                    attempt.cancel()
        if self._fault is not None:
            raise self._fault

    def _stop(self, fault: BaseException | None = None) -> None:
        self._fault = self._fault or fault
        self._stopping = True
        self._stopped.set()

    def _pump(self) -> None:
        """Send whatever may be sent now; see to it that this is called again when more may be."""
        try:
            while not self._stopping and len(self._attempts) < self._throttle.limit.limit:
                now = self._loop.time()
                if wait := self._throttle.delay(now):
                    return self._pump_after(wait)
                item = self._take(now)
                if item is None:
                    return None
                if self._unavailable is not None:
                    self._finish(item, DEFERRED, f"endpoint unavailable: {self._unavailable}")
                elif self._ledger.reserve(item.to_send, self._settings.model, item.worst):
                    self._send(item, now)
                elif self._attempts:
                    # What is under way may cost less than was reserved for it.
                    self._held_back = item
                    return None
                else:
                    self._finish(item, DEFERRED, f"{BUDGET_REACHED}: ${self._settings.budget_usd} (budget_usd)")
        except BaseException as error:
            self._stop(error)

    def _pump_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._pump)

    def _take(self, now: float) -> _Item | None:
        """The next item to send; those that the ledger can answer are finished on the way."""
        if self._held_back is not None:
            item, self._held_back = self._held_back, None
            return item
        if self._retries and self._retries[0][0] <= now:
            return heapq.heappop(self._retries)[2]
        self._starving = True
        while self._submitted:
            request = self._submitted.popleft()
            if request.request_id in self._same:
                self._same[request.request_id] += 1
                continue
            self._same[request.request_id] = 0
            step = resolve(self._ledger, request)
            if isinstance(step, ChatRequest):
                self._starving = False
                return self._item(request, step)
            self._deliver(step, reused=True)
        if self._retries:
            self._pump_after(self._retries[0][0] - now)
        elif self._no_more and not self._attempts:
            self._clear_suspects()
        return None

    def _item(self, request: ChatRequest, to_send: ChatRequest) -> _Item:
        body = body_of(self._settings, to_send)
        size = prompt_size(body)
        worst = worst_cost(size, to_send.max_output_tokens, self._price)
        return _Item(request, to_send, body, worst, size.likely_tokens + to_send.max_output_tokens)

    def _send(self, item: _Item, now: float) -> None:
        self._throttle.requests.take(now, 1)
        self._throttle.tokens.take(now, item.likely_tokens)
        self._progress.sent += 1
        attempt = self._loop.create_task(self._attempt(item))
        self._attempts.add(attempt)
        self._progress.in_flight = len(self._attempts)
        attempt.add_done_callback(self._attempt_over)

    def _attempt_over(self, attempt: asyncio.Task[None]) -> None:
        self._attempts.discard(attempt)
        self._progress.in_flight = len(self._attempts)
        if not attempt.cancelled() and (error := attempt.exception()) is not None:
            self._stop(error)
        self._pump()

    async def _attempt(self, item: _Item) -> None:
        epoch, answers = self._throttle.limit.epoch, self._answers
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                response = await self._transport.post(self._client, item.body)
            reply = read_reply(response.body)
        except UnavailableError as error:
            self._again(item, error, epoch, answers)
        except TimeoutError:
            late = UnavailableError(f"no answer within {self._settings.timeout_s:g} s (timeout_s)", True, True)
            self._again(item, late, epoch, answers)
        except UnreadableReplyError as error:
            self._again(item, UnavailableError(str(error), may_be_charged=True), epoch, answers)
        except RefusedError as error:
            self._refused(item, str(error))
        except EndpointError:
            self._ledger.release(item.to_send.request_id, item.worst)
            raise
        else:
            self._answered(item, reply, response)

    def _answered(self, item: _Item, reply: Reply, response: Response) -> None:
        cost = self._cost(reply)
        self._ledger.settle(item.to_send.request_id, reply, cost, item.worst)
        self._answers += 1
        self._given_up_in_a_row = 0
        self._throttle.limit.answered(self._loop.time(), len(self._attempts), response.headers)
        self._count(item, reply, cost)
        self._clear_suspects()
        item.paid.append(item.to_send.request_id)
        step = resolve(self._ledger, item.request, item.paid)
        if isinstance(step, ChatRequest):
            self._retry_after(0.0, replace(self._item(item.request, step), paid=item.paid))
        else:
            self._deliver(step)

    def _cost(self, reply: Reply) -> Decimal | None:
        if self._price is None or reply.prompt_tokens is None or reply.completion_tokens is None:
            return None
        return self._price.cost(reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens)

    def _count(self, item: _Item, reply: Reply, cost: Decimal | None) -> None:
        tokens = (reply.prompt_tokens or 0) + (reply.completion_tokens or 0)
        if tokens:
            self._throttle.tokens.give_back(item.likely_tokens - tokens)
        progress = self._progress
        progress.prompt_tokens += reply.prompt_tokens or 0
        progress.completion_tokens += reply.completion_tokens or 0
        progress.paid_usd += cost or Decimal(0)
        progress.unknown_costs += cost is None

    def _again(self, item: _Item, error: UnavailableError, epoch: int, answers: int) -> None:
        """Send it again later, unless it was tried often enough."""
        if not error.may_be_charged:
            self._ledger.release(item.to_send.request_id, item.worst)
        settings, now = self._settings, self._loop.time()
        asked = retry_after(error.headers) or 0.0
        if error.overloaded:
            self._throttle.limit.congested(epoch)
            self._throttle.limit.pause_for(now, min(asked, _LONGEST_PAUSE * settings.max_backoff_s))
        # Being told to wait while others are answered is no failure.
        item.tries += not (error.overloaded and self._answers > answers)
        item.pauses += 1
        if asked > _LONGEST_PAUSE * settings.max_backoff_s:
            self._unavailable = f"it asks to wait {asked:.0f} s"
            self._finish(item, DEFERRED, f"endpoint unavailable: {self._unavailable}")
        elif item.tries >= settings.attempts:
            self._given_up_in_a_row += 1
            if self._given_up_in_a_row >= _GIVEN_UP_IN_A_ROW:
                self._unavailable = error.reason
            self._finish(item, DEFERRED, f"no answer in {item.tries} tries, the last: {error.reason}")
        else:
            backoff = min(settings.backoff_s * 2 ** (item.pauses - 1), settings.max_backoff_s)
            self._retry_after(max(asked, backoff * random.uniform(0.5, 1)), item)

    def _retry_after(self, seconds: float, item: _Item) -> None:
        self._retry_number += 1
        heapq.heappush(self._retries, (self._loop.time() + seconds, self._retry_number, item))

    def _refused(self, item: _Item, reason: str) -> None:
        """The request is at fault, unless nothing at all is answered: then the settings are."""
        self._ledger.release(item.to_send.request_id, item.worst, reason)
        outcome = unanswered(self._ledger, item.request, FAILED, reason, item.paid)
        if self._answers:
            return self._deliver(outcome)
        self._suspects.append(outcome)
        if len(self._suspects) >= _REFUSED_IN_A_ROW:
            raise EndpointError(
                f"{self._settings.url} refuses every request: {reason}. Mend the endpoint's settings: structured_output, "
                "temperature, output_limit_field, extra_body"
            )
        return None

    def _clear_suspects(self) -> None:
        while self._suspects:
            self._deliver(self._suspects.pop(0))

    def _finish(self, item: _Item, status: str, reason: str) -> None:
        self._deliver(unanswered(self._ledger, item.request, status, reason, item.paid))

    def _deliver(self, outcome: ChatOutcome, *, reused: bool = False) -> None:
        for copy in range(1 + self._same.pop(outcome.request_id)):
            told = replace(outcome, paid_usd=Decimal(0)) if copy else outcome
            self._progress.count(told, reused=reused or copy > 0)
            self._outcomes.put(told)
