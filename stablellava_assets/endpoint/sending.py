"""The event loop's side of live requests: one task for each that is in flight, which sends,
handles the result and goes on."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import count
from typing import Any

import httpx2

from stablellava_assets.endpoint.call_context import CallContext
from stablellava_assets.endpoint.estimates import prompt_size, worst_cost
from stablellava_assets.endpoint.rate_limits.retry_after import retry_after, wait_for_capacity
from stablellava_assets.endpoint.replies.refusals import RefusedError, UnavailableError
from stablellava_assets.endpoint.requests import ChatOutcome, ChatRequest, ImageRequest, body_of
from stablellava_assets.endpoint.resolution import deferred, over_budget, refused, resolve
from stablellava_assets.endpoint.transport import Response

_LAST_ANSWERS_S = 30.0
_FAILED_IN_A_ROW = 10
"""Attempts without an answer between them, after which nothing new is sent until one of these is answered or
deferred."""
_DEFERRED_IN_A_ROW = 10
_LONGEST_PAUSE = 10


@dataclass
class _Item:
    """A request on its way, and what is to be sent for it: itself, then perhaps its repair.

    ``epoch`` and ``answers`` are how many congestions and answers there were when it was last sent.
    """

    request: ChatRequest
    to_send: ChatRequest
    body: Mapping[str, Any]
    worst: Decimal | None
    likely_tokens: int
    attempts: int = 0
    pauses: int = 0
    paid: list[str] = field(default_factory=list)
    epoch: int = 0
    answers: int = 0


class Sending:
    """Sends what is submitted, as much at once as the adaptive limit allows.

    Each request in flight has a task, which handles the result, takes the next request and sends it. Tasks take turns:
    otherwise the event loop would handle answers that arrive together in step, and the requests after them would
    all leave as late as the last.
    """

    def __init__(self, call: CallContext, deliver: Callable[[ChatOutcome], None]) -> None:
        self._settings = call.settings
        self._ledger = call.ledger
        self._price = call.price
        self._transport = call.transport
        self._throttle = call.throttle
        self._progress = call.progress
        self._deliver = deliver
        self._new: deque[ChatRequest] = deque()
        self._retries: list[tuple[float, int, _Item]] = []
        self._numbers = count()
        self._times_asked: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._stopping = False
        self._fault: Exception | None = None
        self._answers = 0
        self._failed_in_a_row = 0
        self._deferred_in_a_row = 0
        self._unavailable: str | None = None

    def submit(self, request: ChatRequest) -> None:
        """Enqueue a request; one that is asked again before it is finished is sent once."""
        self._times_asked[request.request_id] += 1
        if self._times_asked[request.request_id] == 1:
            self._new.append(request)
            self._changed.set()

    def stop(self) -> None:
        """Send nothing more."""
        self._stopping = True
        self._changed.set()

    async def run(self) -> None:
        """Send until told to stop; then wait a while for the answers that are under way, since they are paid.

        Raises:
            EndpointError: no request can be answered with these settings.
            LedgerError: the ledger could not be written.
        """
        async with self._transport.client() as client:
            try:
                await self._start_tasks(client)
            except Exception as error:
                self._fail(error)
            await self._drain()
        if self._fault is not None:
            raise self._fault

    def _fail(self, error: Exception) -> None:
        self._fault = self._fault or error
        self.stop()

    async def _start_tasks(self, client: httpx2.AsyncClient) -> None:
        """Start a task whenever there is a free slot and a request that may be sent."""
        while not self._stopping:
            self._changed.clear()
            now, item = asyncio.get_running_loop().time(), None
            if self._has_slot:
                async with self._own_turn():
                    item = self._take(now)
            if item is None:
                await self._wait_for_change(now)
            else:
                task = asyncio.create_task(self._send_and_go_on(client, item))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _drain(self) -> None:
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_LAST_ANSWERS_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _wait_for_change(self, now: float) -> None:
        """Wait until something happens, or until the time comes for what could not be sent ``now``."""
        seconds = self._throttle.delay(now) or (self._retries[0][0] - now if self._retries else 0.0)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds if seconds > 0 else None):
                await self._changed.wait()

    async def _send_and_go_on(self, client: httpx2.AsyncClient, first: _Item) -> None:
        """Send one request after the other, as long as there is one that may be sent."""
        item: _Item | None = first
        try:
            while item is not None:
                result = await self._post(client, item)
                async with self._own_turn():
                    self._handle(item, result)
                    item = self._take(asyncio.get_running_loop().time())
                self._changed.set()
        except Exception as error:
            self._fail(error)

    @asynccontextmanager
    async def _own_turn(self) -> AsyncIterator[None]:
        """A turn, which ends one round of the loop later: by then the request that it took is on its way."""
        await self._turn.acquire()
        try:
            yield
        finally:
            asyncio.get_running_loop().call_soon(self._turn.release)

    @property
    def _has_slot(self) -> bool:
        return self._progress.in_flight < self._throttle.limit.limit

    def _take(self, now: float) -> _Item | None:
        """The next request that may be sent now, with its cost reserved; None if there is none."""
        while self._has_slot and not self._stopping:
            if self._unavailable is None and self._throttle.delay(now):
                return None
            item = self._next(now)
            if item is None:
                return None
            if self._unavailable is not None:
                self._defer(item, f"endpoint unavailable: {self._unavailable}")
            elif self._ledger.reserve(item.to_send, self._settings.model, item.worst):
                self._throttle.take(now, item.likely_tokens)
                item.epoch, item.answers = self._throttle.limit.epoch, self._answers
                self._progress.in_flight += 1
                self._progress.sent += 1
                return item
            elif self._progress.in_flight:
                # What is under way may cost less than was reserved for it.
                self._send_later(item, now)
                return None
            else:
                self._finish(over_budget(self._ledger, item.request, self._settings.budget_usd, item.paid))
        return None

    def _next(self, now: float) -> _Item | None:
        """The next item to send, retries first; None if none is due."""
        if self._retries and (self._retries[0][0] <= now or self._unavailable is not None):
            return heapq.heappop(self._retries)[-1]
        tried = self._progress.in_flight or self._retries
        if self._unavailable is None and self._failed_in_a_row >= _FAILED_IN_A_ROW and tried:
            return None  # A new request would only fail too, perhaps at a price.
        while self._new:
            request = self._new.popleft()
            step = resolve(self._ledger, request)
            if isinstance(step, ChatRequest):
                return self._item(request, step)
            self._finish(step, reused=True)
        return None

    def _item(self, request: ChatRequest, to_send: ChatRequest) -> _Item:
        body = body_of(self._settings, to_send)
        size = prompt_size(body)
        worst = worst_cost(size, to_send.max_output_tokens, self._price, int(isinstance(to_send, ImageRequest)))
        return _Item(request, to_send, body, worst, size.likely_tokens + to_send.max_output_tokens)

    def _send_later(self, item: _Item, at: float) -> None:
        heapq.heappush(self._retries, (at, next(self._numbers), item))

    async def _post(self, client: httpx2.AsyncClient, item: _Item) -> Response | Exception:
        timeout_s = self._settings.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await self._transport.post(client, item.to_send, item.body)
        except TimeoutError:
            return UnavailableError(
                f"no answer within {timeout_s:g} s (timeout_s)", may_be_charged=True, overloaded=True
            )
        except Exception as error:
            return error

    def _handle(self, item: _Item, result: Response | Exception) -> None:
        """Enter into the ledger what came back, and see to what follows from it.

        Raises:
            EndpointError: no request can be answered with these settings.
            LedgerError: the ledger could not be written.
        """
        try:
            if isinstance(result, Exception):
                raise result
        except UnavailableError as error:
            self._retry(item, error)
        except RefusedError as error:
            self._refuse(item, error)
        except Exception:
            self._ledger.release(item.to_send.request_id, item.worst)
            raise
        else:
            self._settle(item, result)
        finally:
            self._progress.in_flight -= 1

    def _settle(self, item: _Item, response: Response) -> None:
        """Enter a paid answer; deliver it, or send its repair."""
        reply = response.reply
        cost = reply.cost(self._price)
        self._ledger.settle(item.to_send.request_id, reply, cost, item.worst)
        item.paid.append(item.to_send.request_id)
        self._answers += 1
        self._failed_in_a_row = self._deferred_in_a_row = 0
        now, tokens = asyncio.get_running_loop().time(), (reply.prompt_tokens or 0) + (reply.completion_tokens or 0)
        self._throttle.limit.answered(now, self._progress.in_flight)
        self._throttle.limit.pause_for(now, wait_for_capacity(response.headers, tokens))
        if tokens:
            self._throttle.correct(item.likely_tokens, tokens)
        self._progress.paid(reply.prompt_tokens, reply.completion_tokens, cost)
        step = resolve(self._ledger, item.request, item.paid)
        if isinstance(step, ChatRequest):
            self._send_later(replace(self._item(item.request, step), paid=item.paid), now)
        else:
            self._finish(step)

    def _retry(self, item: _Item, error: UnavailableError) -> None:
        """Send it again after a pause, unless it was tried often enough."""
        settings, limit = self._settings, self._throttle.limit
        self._failed_in_a_row += 1
        now = asyncio.get_running_loop().time()
        if not error.may_be_charged:
            self._ledger.release(item.to_send.request_id, item.worst)
            self._throttle.correct(item.likely_tokens, 0)
        asked, longest = retry_after(error.headers) or 0.0, _LONGEST_PAUSE * settings.max_backoff_s
        if error.overloaded:
            limit.overloaded(item.epoch)
            if asked <= longest:
                limit.pause_for(now, asked)
        # Being told to wait while others are answered is no failure.
        item.attempts += not (error.overloaded and self._answers > item.answers)
        item.pauses += 1
        if asked > longest:
            self._unavailable = f"it requested a wait of {asked:.0f} s (Retry-After)"
            self._defer(item, f"endpoint unavailable: {self._unavailable}")
        elif item.attempts >= settings.attempts:
            self._deferred_in_a_row += 1
            if self._deferred_in_a_row >= _DEFERRED_IN_A_ROW:
                self._unavailable = error.reason
            self._defer(item, f"no answer in {item.attempts} tries, the last: {error.reason}")
        else:
            backoff = min(settings.backoff_s * 2.0 ** min(item.pauses - 1, 20), settings.max_backoff_s)
            self._send_later(item, now + max(asked, backoff * random.uniform(0.5, 1)))

    def _refuse(self, item: _Item, error: RefusedError) -> None:
        self._ledger.release(item.to_send.request_id, item.worst, error.reason)
        self._failed_in_a_row = 0
        self._throttle.correct(item.likely_tokens, 0)
        self._finish(refused(self._ledger, item.request, error, item.paid))

    def _defer(self, item: _Item, reason: str) -> None:
        self._finish(deferred(self._ledger, item.request, reason, item.paid))

    def _finish(self, outcome: ChatOutcome, *, reused: bool = False) -> None:
        """Deliver an outcome as often as it was asked for; it is paid once."""
        for copy in range(self._times_asked.pop(outcome.request_id)):
            told = replace(outcome, paid_usd=Decimal(0)) if copy else outcome
            self._progress.count(told, reused=reused or copy > 0)
            self._deliver(told)
