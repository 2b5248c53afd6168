"""The event loop's side of live requests: send, heed what comes back, send again, settle."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import openai

from stablellava_assets.endpoint.estimates import prompt_size, worst_cost
from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.endpoint.prices import Price
from stablellava_assets.endpoint.progress import Progress
from stablellava_assets.endpoint.replies import Reply, UnreadableReplyError, read_reply
from stablellava_assets.endpoint.requests import BUDGET_REACHED, ChatOutcome, ChatRequest, EndpointError, body_of
from stablellava_assets.endpoint.resolution import resolve, unanswered
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.endpoint.throttle import Throttle
from stablellava_assets.endpoint.transport import RefusedError, Response, Transport, UnavailableError
from stablellava_assets.endpoint.waits import retry_after, wait_for_capacity
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


@dataclass(frozen=True)
class _Arrival:
    """What came of sending an item; ``epoch`` and ``answers`` are from when it was sent."""

    item: _Item
    result: Response | BaseException
    epoch: int
    answers: int


class Sending:
    """Works in turns: each heeds one arrival and sends one request, and lets that reach the wire before the next begins.

    Without turns an event loop treats answers that arrive together in step, so that the requests after them leave
    together too, each as late as the last.
    """

    def __init__(
        self,
        settings: EndpointSettings,
        ledger: Ledger,
        price: Price | None,
        transport: Transport,
        throttle: Throttle,
        progress: Progress,
        deliver: Callable[[ChatOutcome], None],
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._price = price
        self._transport = transport
        self._throttle = throttle
        self._progress = progress
        self._deliver = deliver
        self.starving = False
        """Whether :meth:`wake` must be called when something is submitted."""
        self._submitted: deque[ChatRequest] = deque()
        self._no_more = False
        self._stopping = False
        self._fault: BaseException | None = None
        self._wake = asyncio.Event()
        self._attempts: set[asyncio.Task[None]] = set()
        self._arrivals: deque[_Arrival] = deque()
        self._held_back: _Item | None = None
        self._retries: list[tuple[float, int, _Item]] = []
        self._retry_number = 0
        self._copies: dict[str, int] = {}
        self._finished: list[tuple[ChatOutcome, bool]] = []
        self._suspects: list[ChatOutcome] = []
        self._in_flight = 0
        self._answers = 0
        self._given_up_in_a_row = 0
        self._unavailable: str | None = None

    def submit(self, request: ChatRequest) -> None:
        """Take a request on; may be called in any thread."""
        self._submitted.append(request)

    def wake(self) -> None:
        """Something was submitted."""
        self._wake.set()

    def no_more(self) -> None:
        """Nothing more will be submitted."""
        self._no_more = True
        self._wake.set()

    def stop(self) -> None:
        """Send nothing more."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Send until told to stop; then wait a while for the answers that are under way, since they are paid.

        Raises:
            EndpointError: no request can be answered with these settings.
            LedgerError: the ledger could not be written.
        """
        async with self._transport.client() as client:
            try:
                while not self._stopping:
                    await self._turns(client)
            except Exception as error:
                self._fault = self._fault or error
            await self._drain()
        if self._fault is not None:
            raise self._fault

    async def _turns(self, client: openai.AsyncOpenAI) -> None:
        """One turn, or a wait for the next."""
        self._wake.clear()
        wait = self._turn(client)
        if wait == 0.0:
            # Two rounds of the loop: one starts the request, one writes it.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        self._deliver_finished()
        if wait != 0.0:
            await self._sleep(wait)

    async def _sleep(self, seconds: float | None) -> None:
        timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self._wake.set)
        await self._wake.wait()
        if timer is not None:
            timer.cancel()

    async def _drain(self) -> None:
        if self._attempts:
            _, late = await asyncio.wait(self._attempts, timeout=_LAST_ANSWERS_S)
            for attempt in late:
                attempt.cancel()
        while self._arrivals:
            self._heed(self._arrivals.popleft())
        self._deliver_finished()

    def _turn(self, client: openai.AsyncOpenAI) -> float | None:
        """Heed one arrival, send one request. Returns the seconds until there may be more to do; None: until woken."""
        heeded = bool(self._arrivals)
        if heeded:
            self._heed(self._arrivals.popleft())
        wait = self._send_one(client)
        return 0.0 if heeded else wait

    def _send_one(self, client: openai.AsyncOpenAI) -> float | None:
        now = asyncio.get_running_loop().time()
        if self._unavailable is None:
            if self._stopping or self._in_flight >= self._throttle.limit.limit:
                return None
            if delay := self._throttle.delay(now):
                return delay
        item = self._take(now)
        if item is None:
            if not self._retries and not self._in_flight and self._no_more:
                self._clear_suspects()
            return max(1e-3, self._retries[0][0] - now) if self._retries else None
        if self._unavailable is not None:
            self._end(item, DEFERRED, f"endpoint unavailable: {self._unavailable}")
        elif self._ledger.reserve(item.to_send, self._settings.model, item.worst):
            self._send(client, item, now)
        elif self._in_flight:
            # What is under way may cost less than was reserved for it.
            self._held_back = item
            return None
        else:
            self._end(item, DEFERRED, f"{BUDGET_REACHED}: ${self._settings.budget_usd} (budget_usd)")
        return 0.0

    def _take(self, now: float) -> _Item | None:
        """The next item to send; those that the ledger can answer are finished on the way."""
        if self._held_back is not None:
            item, self._held_back = self._held_back, None
            return item
        if self._retries and self._retries[0][0] <= now:
            return heapq.heappop(self._retries)[2]
        self.starving = True
        while self._submitted:
            request = self._submitted.popleft()
            if request.request_id in self._copies:
                self._copies[request.request_id] += 1
                continue
            self._copies[request.request_id] = 0
            step = resolve(self._ledger, request)
            if isinstance(step, ChatRequest):
                self.starving = False
                return self._item(request, step)
            self._finished.append((step, True))
        return None

    def _item(self, request: ChatRequest, to_send: ChatRequest) -> _Item:
        body = body_of(self._settings, to_send)
        size = prompt_size(body)
        worst = worst_cost(size, to_send.max_output_tokens, self._price)
        return _Item(request, to_send, body, worst, size.likely_tokens + to_send.max_output_tokens)

    def _send(self, client: openai.AsyncOpenAI, item: _Item, now: float) -> None:
        self._throttle.take(now, item.likely_tokens)
        self._in_flight += 1
        self._progress.in_flight = self._in_flight
        self._progress.sent += 1
        attempt = asyncio.get_running_loop().create_task(self._attempt(client, item))
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempts.discard)

    async def _attempt(self, client: openai.AsyncOpenAI, item: _Item) -> None:
        epoch, answers = self._throttle.limit.epoch, self._answers
        result: Response | BaseException
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                result = await self._transport.post(client, item.body)
        except TimeoutError:
            late = f"no answer within {self._settings.timeout_s:g} s (timeout_s)"
            result = UnavailableError(late, may_be_charged=True, overloaded=True)
        except Exception as error:
            result = error
        self._arrivals.append(_Arrival(item, result, epoch, answers))
        self._wake.set()

    def _heed(self, arrival: _Arrival) -> None:
        """Enter into the ledger what came back, then see what follows from it."""
        self._in_flight -= 1
        self._progress.in_flight = self._in_flight
        item, result = arrival.item, arrival.result
        try:
            if isinstance(result, Response):
                self._answered(item, read_reply(result.body), result)
            elif isinstance(result, UnavailableError):
                self._again(arrival, result)
            elif isinstance(result, RefusedError):
                self._refused(item, str(result))
            else:
                self._ledger.release(item.to_send.request_id, item.worst)
                raise result
        except UnreadableReplyError as error:
            self._again(arrival, UnavailableError(str(error), may_be_charged=True))
        except Exception as error:
            self._fault = self._fault or error
            self._stopping = True

    def _answered(self, item: _Item, reply: Reply, response: Response) -> None:
        cost = reply.cost(self._price)
        self._ledger.settle(item.to_send.request_id, reply, cost, item.worst)
        self._answers += 1
        self._given_up_in_a_row = 0
        now, tokens = asyncio.get_running_loop().time(), (reply.prompt_tokens or 0) + (reply.completion_tokens or 0)
        self._throttle.limit.answered(now, self._in_flight + 1)
        self._throttle.limit.pause_for(now, wait_for_capacity(response.headers, tokens))
        if tokens:
            self._throttle.took(item.likely_tokens, tokens)
        self._progress.paid(reply.prompt_tokens, reply.completion_tokens, cost)
        self._clear_suspects()
        item.paid.append(item.to_send.request_id)
        step = resolve(self._ledger, item.request, item.paid)
        if isinstance(step, ChatRequest):
            self._send_again(replace(self._item(item.request, step), paid=item.paid), after=0.0)
        else:
            self._finished.append((step, False))

    def _again(self, arrival: _Arrival, error: UnavailableError) -> None:
        """Send it again later, unless it was tried often enough."""
        item, settings, limit = arrival.item, self._settings, self._throttle.limit
        if not error.may_be_charged:
            self._ledger.release(item.to_send.request_id, item.worst)
            self._throttle.took(item.likely_tokens, 0)
        asked, longest = retry_after(error.headers) or 0.0, _LONGEST_PAUSE * settings.max_backoff_s
        if error.overloaded:
            limit.turned_away(arrival.epoch)
            if asked <= longest:
                limit.pause_for(asyncio.get_running_loop().time(), asked)
        # Being told to wait while others are answered is no failure.
        item.tries += not (error.overloaded and self._answers > arrival.answers)
        item.pauses += 1
        if asked > longest:
            self._unavailable = f"it asks to wait {asked:.0f} s"
            self._end(item, DEFERRED, f"endpoint unavailable: {self._unavailable}")
        elif item.tries >= settings.attempts:
            self._given_up_in_a_row += 1
            if self._given_up_in_a_row >= _GIVEN_UP_IN_A_ROW:
                self._unavailable = error.reason
            self._end(item, DEFERRED, f"no answer in {item.tries} tries, the last: {error.reason}")
        else:
            backoff = min(settings.backoff_s * 2.0 ** min(item.pauses - 1, 20), settings.max_backoff_s)
            self._send_again(item, after=max(asked, backoff * random.uniform(0.5, 1)))

    def _send_again(self, item: _Item, after: float) -> None:
        self._retry_number += 1
        heapq.heappush(self._retries, (asyncio.get_running_loop().time() + after, self._retry_number, item))

    def _refused(self, item: _Item, reason: str) -> None:
        """The request is at fault, unless nothing at all is answered: then the settings are."""
        self._ledger.release(item.to_send.request_id, item.worst, reason)
        outcome = unanswered(self._ledger, item.request, FAILED, reason, item.paid)
        self._suspects.append(outcome)
        if self._answers:
            self._clear_suspects()
        elif len(self._suspects) >= _REFUSED_IN_A_ROW:
            raise EndpointError(
                f"{self._settings.url} refuses every request: {reason}. Mend the endpoint's settings: structured_output, "
                "temperature, output_limit_field, extra_body"
            )

    def _clear_suspects(self) -> None:
        self._finished += [(outcome, False) for outcome in self._suspects]
        self._suspects.clear()

    def _end(self, item: _Item, status: str, reason: str) -> None:
        self._finished.append((unanswered(self._ledger, item.request, status, reason, item.paid), False))

    def _deliver_finished(self) -> None:
        for outcome, reused in self._finished:
            for copy in range(1 + self._copies.pop(outcome.request_id)):
                told = replace(outcome, paid_usd=Decimal(0)) if copy else outcome
                self._progress.count(told, reused=reused or copy > 0)
                self._deliver(told)
        self._finished.clear()
