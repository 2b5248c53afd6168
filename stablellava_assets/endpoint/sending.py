"""The event loop's side of live requests: send, heed what comes back, send again, settle."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import openai

from stablellava_assets.endpoint.attempts import Attempt
from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.endpoint.outgoing import Item, Outgoing
from stablellava_assets.endpoint.prices import Price
from stablellava_assets.endpoint.progress import Progress
from stablellava_assets.endpoint.rate_limits.retry_after import retry_after, wait_for_capacity
from stablellava_assets.endpoint.rate_limits.throttle import Throttle
from stablellava_assets.endpoint.replies.refusals import RefusedError, UnavailableError, error_of
from stablellava_assets.endpoint.replies.replies import (
    ComplaintError,
    Reply,
    UnreadableReplyError,
    read_picture,
    read_reply,
)
from stablellava_assets.endpoint.requests import ChatOutcome, ChatRequest, ImageRequest
from stablellava_assets.endpoint.resolution import over_budget, put_off, refused, resolve
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.endpoint.transport import Response, Transport

_BUILT_AHEAD = 16
_LAST_ANSWERS_S = 30.0
_FAILED_IN_A_ROW = 10
"""Tries without an answer between them, after which nothing new is sent until one of these is answered or given up."""
_GIVEN_UP_IN_A_ROW = 10
_LONGEST_PAUSE = 10


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
        self._outgoing = Outgoing(settings, ledger, price, lambda known: self._finished.append((known, True)))
        self._stopping = False
        self._fault: BaseException | None = None
        self._wake = asyncio.Event()
        self._built: deque[Attempt] = deque()
        self._under_way: set[Attempt] = set()
        self._arrivals: deque[Attempt] = deque()
        self._settled: list[Item] = []
        self._finished: list[tuple[ChatOutcome, bool]] = []
        self._answers = 0
        self._failed_in_a_row = 0
        self._given_up_in_a_row = 0
        self._unavailable: str | None = None

    def submit(self, request: ChatRequest) -> bool:
        """Enqueue a request; thread-safe. Returns whether :meth:`wake` must be called in the loop's."""
        self._outgoing.submit(request)
        starving, self._outgoing.starving = self._outgoing.starving, False
        return starving

    def wake(self) -> None:
        """Something was submitted."""
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
                    await self._turn(client)
            except Exception as error:
                self._fault = self._fault or error
            await self._drain()
        if self._fault is not None:
            raise self._fault

    async def _turn(self, client: openai.AsyncOpenAI) -> None:
        self._wake.clear()
        heeded = self._heed_one()
        wait = self._send_one(client)
        if heeded or wait == 0.0:
            # Two rounds of the loop: one hands the request to its connection, one writes it.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        self._follow_up()
        if not heeded and wait != 0.0 and not self._build_one(client):
            await self._sleep(wait)

    async def _sleep(self, seconds: float | None) -> None:
        timer = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self._wake.set)
        await self._wake.wait()
        if timer is not None:
            timer.cancel()

    async def _drain(self) -> None:
        for attempt in self._built:
            attempt.cancel()
        deadline = asyncio.get_running_loop().time() + _LAST_ANSWERS_S
        while self._under_way:
            self._wake.clear()
            if not self._heed_one():
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    break
                await self._sleep(left)
        for attempt in self._under_way:
            attempt.cancel()
        self._follow_up()

    def _build_one(self, client: openai.AsyncOpenAI) -> bool:
        """Build a request ahead, in time in which there is nothing else to do."""
        if len(self._built) >= _BUILT_AHEAD:
            return False
        item = self._outgoing.take_new()
        if item is not None:
            self._built.append(self._attempt(client, item))
        return item is not None or bool(self._finished)

    def _attempt(self, client: openai.AsyncOpenAI, item: Item) -> Attempt:
        return Attempt(item, self._transport, client, self._settings.timeout_s, self._arrived)

    def _arrived(self, attempt: Attempt) -> None:
        self._arrivals.append(attempt)
        self._wake.set()

    def _send_one(self, client: openai.AsyncOpenAI) -> float | None:
        """Send one request. Returns the seconds until there may be more to send; None: until woken."""
        now = asyncio.get_running_loop().time()
        if self._stopping or len(self._under_way) >= self._throttle.limit.limit:
            return None
        if (delay := self._throttle.delay(now)) and self._unavailable is None:
            return delay
        attempt = self._next_attempt(client, now)
        if attempt is None:
            at = self._outgoing.next_again
            return None if at is None else max(1e-3, at - now)
        item = attempt.item
        if self._unavailable is not None:
            attempt.cancel()
            self._end(item, f"endpoint unavailable: {self._unavailable}")
        elif self._ledger.reserve(item.to_send, self._settings.model, item.worst):
            self._let_go(attempt, now)
        elif self._under_way:
            # What is under way may cost less than was reserved for it.
            self._built.appendleft(attempt)
            return None
        else:
            attempt.cancel()
            waiting = over_budget(self._ledger, item.request, self._settings.budget_usd, item.paid)
            self._finished.append((waiting, False))
        return 0.0

    def _next_attempt(self, client: openai.AsyncOpenAI, now: float) -> Attempt | None:
        item = self._outgoing.take_again(now if self._unavailable is None else float("inf"))
        if item is None and self._waits_for_an_answer:
            return None
        if item is None and self._built:
            return self._built.popleft()
        item = item or self._outgoing.take_new()
        return None if item is None else self._attempt(client, item)

    @property
    def _waits_for_an_answer(self) -> bool:
        """Whether so much failed that new requests would only fail too, perhaps at a price."""
        tried = self._under_way or self._outgoing.next_again is not None
        return self._unavailable is None and self._failed_in_a_row >= _FAILED_IN_A_ROW and bool(tried)

    def _let_go(self, attempt: Attempt, now: float) -> None:
        self._throttle.take(now, attempt.item.likely_tokens)
        self._under_way.add(attempt)
        self._progress.in_flight = len(self._under_way)
        self._progress.sent += 1
        attempt.let_go(self._throttle.limit.epoch, self._answers)

    def _heed_one(self) -> bool:
        """Enter into the ledger what came back, and see to what follows for other requests."""
        if not self._arrivals:
            return False
        attempt = self._arrivals.popleft()
        self._under_way.discard(attempt)
        self._progress.in_flight = len(self._under_way)
        item, result = attempt.item, attempt.result
        try:
            read = self._read(item, result) if isinstance(result, Response) else result
            if isinstance(read, Reply):
                assert isinstance(result, Response)
                self._answered(item, read, result)
            elif isinstance(read, UnavailableError):
                self._again(attempt, read)
            elif isinstance(read, RefusedError):
                self._refused(item, read)
            elif isinstance(read, BaseException):
                self._ledger.release(item.to_send.request_id, item.worst)
                raise read
        except Exception as error:
            self._fault = self._fault or error
            self._stopping = True
        return True

    def _read(self, item: Item, response: Response) -> Reply | BaseException:
        """The answer that a response holds, or what it means that it holds none."""
        read = read_picture if isinstance(item.to_send, ImageRequest) else read_reply
        try:
            reply = read(response.body)
            return replace(reply, model=reply.model or self._settings.model)
        except ComplaintError as error:
            complaint = replace(error.complaint, message=self._transport.without_key(error.complaint.message))
            return error_of(self._settings, None, complaint, headers=response.headers, charged=error.charged)
        except UnreadableReplyError as error:
            return UnavailableError(str(error), may_be_charged=True)

    def _answered(self, item: Item, reply: Reply, response: Response) -> None:
        cost = reply.cost(self._price)
        self._ledger.settle(item.to_send.request_id, reply, cost, item.worst)
        item.paid.append(item.to_send.request_id)
        self._settled.append(item)
        self._answers += 1
        self._failed_in_a_row = 0
        self._given_up_in_a_row = 0
        now, tokens = asyncio.get_running_loop().time(), (reply.prompt_tokens or 0) + (reply.completion_tokens or 0)
        self._throttle.limit.answered(now, len(self._under_way) + 1)
        self._throttle.limit.pause_for(now, wait_for_capacity(response.headers, tokens))
        if tokens:
            self._throttle.took(item.likely_tokens, tokens)
        self._progress.paid(reply.prompt_tokens, reply.completion_tokens, cost)

    def _again(self, attempt: Attempt, error: UnavailableError) -> None:
        """Send it again later, unless it was tried often enough."""
        item, settings, limit = attempt.item, self._settings, self._throttle.limit
        self._failed_in_a_row += 1
        now = asyncio.get_running_loop().time()
        if not error.may_be_charged:
            self._ledger.release(item.to_send.request_id, item.worst)
            self._throttle.took(item.likely_tokens, 0)
        asked, longest = retry_after(error.headers) or 0.0, _LONGEST_PAUSE * settings.max_backoff_s
        if error.overloaded:
            limit.turned_away(attempt.epoch)
            if asked <= longest:
                limit.pause_for(now, asked)
        # Being told to wait while others are answered is no failure.
        item.tries += not (error.overloaded and self._answers > attempt.answers)
        item.pauses += 1
        if asked > longest:
            self._unavailable = f"it requested a wait of {asked:.0f} s (Retry-After)"
            self._end(item, f"endpoint unavailable: {self._unavailable}")
        elif item.tries >= settings.attempts:
            self._given_up_in_a_row += 1
            if self._given_up_in_a_row >= _GIVEN_UP_IN_A_ROW:
                self._unavailable = error.reason
            self._end(item, f"no answer in {item.tries} tries, the last: {error.reason}")
        else:
            backoff = min(settings.backoff_s * 2.0 ** min(item.pauses - 1, 20), settings.max_backoff_s)
            self._outgoing.put_again(item, now + max(asked, backoff * random.uniform(0.5, 1)))

    def _refused(self, item: Item, error: RefusedError) -> None:
        self._ledger.release(item.to_send.request_id, item.worst, error.reason)
        self._failed_in_a_row = 0
        self._throttle.took(item.likely_tokens, 0)
        self._finished.append((refused(self._ledger, item.request, error, item.paid), False))

    def _end(self, item: Item, reason: str) -> None:
        self._finished.append((put_off(self._ledger, item.request, reason, item.paid), False))

    def _follow_up(self) -> None:
        """See what the answers mean for their own requests, and hand out what is finished."""
        for item in self._settled:
            step = resolve(self._ledger, item.request, item.paid)
            if isinstance(step, ChatRequest):
                repair = replace(self._outgoing.item(item.request, step), paid=item.paid)
                self._outgoing.put_again(repair, asyncio.get_running_loop().time())
            else:
                self._finished.append((step, False))
        self._settled.clear()
        for outcome, reused in self._finished:
            for copy in range(self._outgoing.times_asked(outcome.request_id)):
                told = replace(outcome, paid_usd=Decimal(0)) if copy else outcome
                self._progress.count(told, reused=reused or copy > 0)
                self._deliver(told)
        self._finished.clear()
