"""Allocates the cost of a request to its rows. The parts are exact: they add up to the cost of the request."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from stablellava_assets.endpoint.prices import PICO
from stablellava_assets.endpoint.requests import ChatOutcome


class RowCost(NamedTuple):
    """Tokens and US dollars of a row; None if unknown."""

    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: Decimal | None

    def plus(self, other: RowCost) -> RowCost:
        """The sum; unknown if either is."""
        prompt = _sum(self.prompt_tokens, other.prompt_tokens)
        completion = _sum(self.completion_tokens, other.completion_tokens)
        cost = None if self.cost_usd is None or other.cost_usd is None else self.cost_usd + other.cost_usd
        return RowCost(prompt, completion, cost)

    def shares(self, count: int) -> list[RowCost]:
        """Equal parts; the remainder goes to the first ones."""
        picodollars = None if self.cost_usd is None else int(self.cost_usd / PICO)
        parts = zip(
            _split(self.prompt_tokens, count),
            _split(self.completion_tokens, count),
            _split(picodollars, count),
            strict=True,
        )
        return [
            RowCost(prompt, completion, None if cost is None else cost * PICO) for prompt, completion, cost in parts
        ]


def allocated(outcome: ChatOutcome, count: int) -> list[RowCost]:
    """Divide the cost of a request between ``count`` rows; the remainder goes to the first rows."""
    return RowCost(outcome.prompt_tokens, outcome.completion_tokens, outcome.cost_usd).shares(count)


def _split(amount: int | None, count: int) -> list[int | None]:
    if amount is None:
        return [None] * count
    each, rest = divmod(amount, count)
    return [each + (number < rest) for number in range(count)]


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
