"""Live requests for a caller that knows no event loop: it runs in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVarTuple

from stablellava_assets.endpoint.call_context import CallContext
from stablellava_assets.endpoint.requests import ChatOutcome, ChatRequest
from stablellava_assets.endpoint.sending import Sending

_READY_BESIDES = 16
Given = TypeVarTuple("Given")


class LiveCall:
    """Requests go in at :meth:`submit`; each comes out of :meth:`next_outcome` once, in the order in which they finish.

    Leaving the context sends nothing more, and waits a while for the answers that are under way.
    """

    def __init__(self, call: CallContext) -> None:
        self._limit = call.throttle.limit
        self._unfinished = 0
        self._outcomes: queue.SimpleQueue[ChatOutcome | BaseException] = queue.SimpleQueue()
        self._sending = Sending(call, self._outcomes.put)
        self._thread = threading.Thread(target=self._run, name="endpoint", daemon=True)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._in_loop(self._sending.stop)
        self._thread.join()

    @property
    def unfinished(self) -> int:
        """Requests submitted whose outcome was not taken yet."""
        return self._unfinished

    @property
    def has_room(self) -> bool:
        """Whether another request should be submitted: memory holds only as many as keep the endpoint busy."""
        return self._unfinished < 2 * self._limit.limit + _READY_BESIDES

    def submit(self, request: ChatRequest) -> None:
        """Enqueue a request."""
        self._unfinished += 1
        self._in_loop(self._sending.submit, request)

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

    def _in_loop(self, function: Callable[[*Given], None], *given: *Given) -> None:
        with contextlib.suppress(RuntimeError):  # The loop has ended by itself, after a fault.
            self._loop.call_soon_threadsafe(function, *given)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._sending.run())
        except BaseException as error:
            self._outcomes.put(error)
