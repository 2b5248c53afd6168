"""What asking a chat model came to, and what it would come to: requests, tokens and US dollars."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True)
class Spent:
    """Requests and what they took. ``unpriced`` of them have an unknown cost and are not in ``known_usd``."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    known_usd: Decimal = Decimal(0)
    unpriced: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.known_usd + other.known_usd,
            self.unpriced + other.unpriced,
        )

    def less(self, other: Spent) -> Spent:
        """What came after ``other``, if this is what was spent by a later time."""
        return Spent(
            self.requests - other.requests,
            self.prompt_tokens - other.prompt_tokens,
            self.completion_tokens - other.completion_tokens,
            self.known_usd - other.known_usd,
            self.unpriced - other.unpriced,
        )

    @property
    def cost_usd(self) -> Decimal | None:
        """US dollars; None where the cost of any request is unknown."""
        return None if self.unpriced else self.known_usd


@dataclass
class Usage:
    """What was spent by the second it was spent in (seconds since the epoch), so that a long run stays small."""

    by_second: dict[int, Spent] = field(default_factory=dict)

    def add(self, second: int, spent: Spent) -> None:
        """Record what was spent in ``second``."""
        self.by_second[second] = self.by_second.get(second, Spent()) + spent

    def merge(self, other: Usage) -> None:
        """Add another's records."""
        for second, spent in other.by_second.items():
            self.add(second, spent)

    @property
    def total(self) -> Spent:
        """All of it."""
        return total(self.by_second.values())


@dataclass(frozen=True)
class Forecast:
    """What writing rows would take. ``measured`` says that tokens come from answered
    requests, not from a rule of thumb."""

    spent: Spent = Spent()
    measured: bool = True

    def __add__(self, other: Forecast) -> Forecast:
        return Forecast(self.spent + other.spent, self.measured and other.measured)


def total(parts: Iterable[Spent]) -> Spent:
    """The sum of ``parts``."""
    return sum(parts, start=Spent())
