"""Ask an endpoint many requests: each is answered once, paid once, and never above the budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

from stablellava_assets.endpoint.call_context import CallContext
from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.endpoint.prices import price_of
from stablellava_assets.endpoint.progress import Progress
from stablellava_assets.endpoint.rate_limits.throttle import Throttle
from stablellava_assets.endpoint.refusal_attribution import RefusalAttribution
from stablellava_assets.endpoint.requests import ChatOutcome, ChatRequest, EndpointError
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.state.sql import StatePlace
from stablellava_assets.tables.pace import Pace
from stablellava_assets.tables.schemas import FAILED

if TYPE_CHECKING:
    from stablellava_assets.endpoint.live import LiveCall


Instead = Callable[[ChatOutcome], Iterable[ChatRequest] | None]
"""The requests to ask in the place of one that failed; None for none."""


class ChatEndpoint:
    """An endpoint with its ledger. Make one a process and keep it: what it learns of the endpoint's limits stays.

    Args:
        settings: which endpoint, and what it may cost.
        ledger_place: the SQLite file that all processes of a data folder share.

    Raises:
        LedgerError: the ledger cannot be opened.
        DocumentError: the file of prices has a mistake.
    """

    def __init__(self, settings: EndpointSettings, ledger_place: StatePlace) -> None:
        # Created eagerly because importing the client is slow.
        from stablellava_assets.endpoint.live import LiveCall
        from stablellava_assets.endpoint.transport import Transport

        self.settings = settings
        self.price = price_of(settings)
        self.ledger = Ledger(ledger_place, settings.budget_usd)
        self._throttle = Throttle(settings)
        self._transport, self._new_call = Transport(settings), LiveCall

    def check(self) -> None:
        """See whether requests could be sent at all, without sending one.

        Raises:
            EndpointError: key, proxy or certificates cannot be used, or there is a budget
                but no price to hold against it.
        """
        if self.settings.budget_usd is not None and self.price is None:
            raise EndpointError(
                f"budget_usd is set, but the price of model {self.settings.model!r} is unknown: list it in a YAML file "
                "and name that file in prices"
            )
        self._transport.prepare()

    def ask(
        self,
        requests: Iterable[ChatRequest],
        report: Callable[[str], None] | None = None,
        progress: Progress | None = None,
        instead: Instead | None = None,
    ) -> Iterator[ChatOutcome]:
        """Every request's outcome, once, in the order in which they finish; one call at a time.

        Args:
            requests: taken one by one, only as fast as they can be sent, in the calling thread.
            report: receives a progress line every few seconds, in the calling thread.
            progress: is filled as the call goes on.
            instead: names the requests to ask, after all others, in the place of one that failed; the
                outcome of that one is then not told.

        Raises:
            EndpointError: no request can be answered with these settings, or none was of those that were asked; what
                was answered is in the ledger. At once where :meth:`check` would raise it.
            LedgerError: the ledger could not be written.
        """
        self.check()
        progress = progress if progress is not None else Progress()
        progress.start()
        call = CallContext(
            self.settings, self.ledger, self.price, self._transport, self._throttle, progress, report or _silent
        )
        attribution = RefusalAttribution(self.settings, self.ledger, progress)
        return attribution.attributed(self._with_replacements(call, requests, instead, attribution))

    def _with_replacements(
        self,
        call: CallContext,
        requests: Iterable[ChatRequest],
        instead: Instead | None,
        attribution: RefusalAttribution,
    ) -> Iterator[ChatOutcome]:
        replacing: list[Iterable[ChatRequest]] = []
        for outcome in self._outcomes(call, requests):
            attribution.record(outcome)
            others = instead(outcome) if instead is not None and outcome.status == FAILED else None
            if others is None:
                yield outcome
            else:
                replacing.append(others)
        if replacing:
            for outcome in self._outcomes(call, chain.from_iterable(replacing)):
                attribution.record(outcome)
                yield outcome

    def _outcomes(self, call: CallContext, requests: Iterable[ChatRequest]) -> Iterator[ChatOutcome]:
        if self.settings.mode == "batch":
            from stablellava_assets.endpoint.batch.batch import BatchCall

            return BatchCall(call).outcomes(requests)
        return _live_outcomes(self._new_call(call), requests, call.report, call.progress)


def _silent(line: str) -> None:
    """Default no-op progress callback."""


def _live_outcomes(
    call: LiveCall, requests: Iterable[ChatRequest], report: Callable[[str], None], progress: Progress
) -> Iterator[ChatOutcome]:
    source, more = iter(requests), True
    pace = Pace()
    with call:
        while more or call.unfinished:
            while more and call.has_room:
                request = next(source, None)
                if request is None:
                    more = False
                else:
                    call.submit(request)
            outcome = call.next_outcome(timeout=1.0) if call.unfinished else None
            progress.sample()
            if pace.is_due():
                report(progress.line())
            if outcome is not None:
                yield outcome
    progress.sample(last=True)
    report(progress.line())
