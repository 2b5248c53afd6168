"""Whose fault refusals are: that of the requests, if others are answered; else that of
the settings, or of the endpoint."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.endpoint.progress import Progress
from stablellava_assets.endpoint.requests import ChatOutcome, EndpointError, Refusal
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.tables.schemas import DEFERRED, OF_ENDPOINT, OF_ROW, OF_SETTING

_REFUSED_IN_A_ROW = 8
_REFUSED_AFTER_ANSWERS = 64
"""The same where the model has answered the stage before: then these may be just the
requests that were refused each time."""


class RefusalAttribution:
    """Holds refusals back until something is answered.

    Args:
        settings: of the endpoint.
        ledger: what was answered before.
        progress: of the call, which counts what is answered in it.
    """

    def __init__(self, settings: EndpointSettings, ledger: Ledger, progress: Progress) -> None:
        self._settings = settings
        self._ledger = ledger
        self._progress = progress
        self._refused: list[str] = []
        self._answered = False

    def record(self, outcome: ChatOutcome) -> None:
        """A request ended.

        Raises:
            EndpointError: so many were refused, and none answered, that the settings are at fault and not the requests.
        """
        if outcome.refused is None:
            self._answered |= outcome.status != DEFERRED
        elif outcome.fault != OF_ROW and outcome.reason is not None:
            self._refused.append(outcome.reason)
            if len(self._refused) < _REFUSED_IN_A_ROW or self._something_is_answered:
                return
            if len(self._refused) >= _REFUSED_AFTER_ANSWERS or not self._has_answered_before(outcome.refused):
                raise self._fault_of_settings(outcome.refused)

    def attributed(self, outcomes: Iterable[ChatOutcome]) -> Iterator[ChatOutcome]:
        """The outcomes of a whole call, of which each was recorded; refusals only once their fault is known.

        Raises:
            EndpointError: nothing was answered, and nothing ever was in this stage by this model.
        """
        held: list[ChatOutcome] = []
        for outcome in outcomes:
            if outcome.refused is not None and outcome.fault == OF_SETTING:
                held.append(outcome)
            else:
                yield outcome
            if self._something_is_answered:
                yield from held
                held.clear()
        for outcome in held:
            assert outcome.refused is not None
            if not self._has_answered_before(outcome.refused):
                raise self._fault_of_settings(outcome.refused)
            reason = f"{outcome.reason} (nothing was answered in this run, so the next one asks again)"
            yield replace(outcome, status=DEFERRED, fault=OF_ENDPOINT, reason=reason)

    @property
    def _something_is_answered(self) -> bool:
        return self._answered or self._progress.answers > 0

    def _has_answered_before(self, refusal: Refusal) -> bool:
        return self._ledger.usage(refusal.stage, self._settings.model) is not None

    def _fault_of_settings(self, refusal: Refusal) -> EndpointError:
        return EndpointError(
            f"{self._settings.url} refuses every request: {self._refused[0].rstrip('.')}. "
            f"{refusal.mend[0].upper()}{refusal.mend[1:]}"
        )
