"""Ask an endpoint many requests: each is answered once, paid once, and never above the budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.endpoint.prices import price_of
from stablellava_assets.endpoint.progress import Progress
from stablellava_assets.endpoint.requests import ChatOutcome, ChatRequest, EndpointError
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.endpoint.throttle import Throttle

if TYPE_CHECKING:
    from stablellava_assets.endpoint.live import LiveCall

_SECONDS_BETWEEN_REPORTS = 5.0


class ChatEndpoint:
    """An endpoint with its ledger. Make one a process and keep it: what it learns of the endpoint's limits stays.

    Args:
        settings: which endpoint, and what it may cost.
        ledger_path: the SQLite file that all processes of a data folder share.

    Raises:
        LedgerError: the ledger cannot be opened.
        DocumentError: the file of prices has a mistake.
    """

    def __init__(self, settings: EndpointSettings, ledger_path: Path) -> None:
        # Here and not when asked: the client takes a while to load.
        from stablellava_assets.endpoint.live import LiveCall
        from stablellava_assets.endpoint.transport import Transport

        self.settings = settings
        self.price = price_of(settings)
        self.ledger = Ledger(ledger_path, settings.budget_usd)
        self._throttle = Throttle(settings)
        self._transport, self._new_call = Transport(settings), LiveCall

    def check(self) -> None:
        """See whether requests could be sent at all, without sending one.

        Raises:
            EndpointError: the key's variable is not set, or there is a budget but no price to hold against it.
        """
        if self.settings.budget_usd is not None and self.price is None:
            raise EndpointError(
                f"budget_usd is set, but the price of model {self.settings.model!r} is unknown: list it in a YAML file and "
                "name that file in prices"
            )
        self._transport.read_key()

    def ask(
        self,
        requests: Iterable[ChatRequest],
        report: Callable[[str], None] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[ChatOutcome]:
        """Every request's outcome, once, in the order in which they finish; one call at a time.

        Args:
            requests: taken one by one, only as fast as they can be sent, in the calling thread.
            report: receives a progress line every few seconds, in the calling thread.
            progress: is filled as the call goes on.

        Raises:
            EndpointError: no request can be answered with these settings; what was answered is in the ledger. At once
                where :meth:`check` would raise it.
            LedgerError: the ledger could not be written.
        """
        self.check()
        progress = progress if progress is not None else Progress()
        if self.settings.mode == "batch":
            from stablellava_assets.endpoint.batch import BatchCall

            batches = BatchCall(self.settings, self.ledger, self.price, self._transport, progress, report or _silent)
            return batches.outcomes(requests)
        call = self._new_call(self.settings, self.ledger, self.price, self._transport, self._throttle, progress)
        return _outcomes(call, requests, report or _silent, progress)


def _silent(line: str) -> None:
    """Nobody wants to know."""


def _outcomes(
    call: LiveCall, requests: Iterable[ChatRequest], report: Callable[[str], None], progress: Progress
) -> Iterator[ChatOutcome]:
    source, more = iter(requests), True
    progress.start()
    reported = time.monotonic()
    with call:
        while more or call.unfinished:
            while more and call.has_room:
                request = next(source, None)
                if request is None:
                    more = False
                    call.no_more()
                else:
                    call.submit(request)
            outcome = call.next_outcome(timeout=1.0) if call.unfinished else None
            progress.sample()
            if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
                reported = time.monotonic()
                report(progress.line())
            if outcome is not None:
                yield outcome
    progress.sample(last=True)
    report(progress.line())
