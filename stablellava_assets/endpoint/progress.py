"""How a call of `ask` is getting on: counts, a line for the log, and a timeline that callers can plot."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from stablellava_assets.endpoint.requests import ChatOutcome

_MOST_SAMPLES = 400


@dataclass(frozen=True)
class Sample:
    """A moment: seconds since the call began, requests finished and under way, US dollars paid by then."""

    seconds: float
    finished: int
    in_flight: int
    paid_usd: Decimal


@dataclass
class Progress:
    """Filled while a call runs; hand one to ``ask`` to read it during the call and afterwards."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """Finished requests by status."""
    reused: int = 0
    """Of these, those that cost nothing in this call."""
    in_flight: int = 0
    prompt_tokens: int = 0
    """Paid in this call, as are the following."""
    completion_tokens: int = 0
    paid_usd: Decimal = Decimal(0)
    unknown_costs: int = 0
    """Answers whose cost is not known, and is not in ``paid_usd``."""
    answers: int = 0
    """Answers that arrived in this call, usable or not."""
    sent: int = 0
    """Times a request was sent, each try counted."""
    timeline: list[Sample] = field(default_factory=list)
    """At most a few hundred samples: the longer the call, the fewer a minute."""
    _started: float = field(default_factory=time.monotonic)
    _sample_every: float = 0.5

    @property
    def finished(self) -> int:
        """Requests that ended, in whatever way."""
        return self.outcomes.total()

    @property
    def seconds(self) -> float:
        """Since the call began."""
        return time.monotonic() - self._started

    def start(self) -> None:
        """The call begins."""
        self._started = time.monotonic()

    def paid(self, prompt_tokens: int | None, completion_tokens: int | None, cost: Decimal | None) -> None:
        """An answer arrived; None is unknown."""
        self.answers += 1
        self.prompt_tokens += prompt_tokens or 0
        self.completion_tokens += completion_tokens or 0
        self.paid_usd += cost or Decimal(0)
        self.unknown_costs += cost is None

    def count(self, outcome: ChatOutcome, *, reused: bool) -> None:
        """A request ended."""
        self.outcomes[outcome.status] += 1
        self.reused += reused

    def sample(self, *, last: bool = False) -> None:
        """Add to the timeline if it is time."""
        seconds = self.seconds
        if not last and self.timeline and seconds - self.timeline[-1].seconds < self._sample_every:
            return
        self.timeline.append(Sample(seconds, self.finished, self.in_flight, self.paid_usd))
        if len(self.timeline) >= _MOST_SAMPLES:
            del self.timeline[1::2]
            self._sample_every *= 2

    def line(self) -> str:
        """For a log, as in ``1,200 requests (1,190 made, 10 failed), 52/s, 32 under way, ... tokens, $0.21``."""
        counts = ", ".join(f"{count:,} {status}" for status, count in sorted(self.outcomes.items(), reverse=True))
        reused = f", {self.reused:,} of them paid before" if self.reused else ""
        unknown = f" and {self.unknown_costs:,} answers of unknown cost" if self.unknown_costs else ""
        rate = self.finished / max(self.seconds, 1e-6)
        return (
            f"{self.finished:,} requests{f' ({counts}{reused})' if counts else ''}, {rate:.1f}/s, "
            f"{self.in_flight:,} under way, {self.prompt_tokens + self.completion_tokens:,} tokens, "
            f"${self.paid_usd:.4f}{unknown}"
        )
