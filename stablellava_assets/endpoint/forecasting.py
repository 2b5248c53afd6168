"""Estimates what requests will cost before any is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import NamedTuple

from stablellava_assets.endpoint.estimates import prompt_size
from stablellava_assets.endpoint.ledger import Ledger, Usage
from stablellava_assets.endpoint.prices import price_of
from stablellava_assets.endpoint.requests import ChatRequest, ImageRequest, body_of
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.endpoint.usage import Forecast, Spent
from stablellava_assets.state.sql import StatePlace


class Expected(NamedTuple):
    """A request that would be sent, and an estimate of the length of its answer in tokens."""

    request: ChatRequest
    completion_tokens: int


def forecast(
    settings: EndpointSettings, ledger_place: StatePlace, expected: Callable[[Ledger | None], Iterable[Expected]]
) -> Forecast:
    """The expected cost of requests of one stage. Those that the ledger has an answer to are free, and no retries are
    assumed.

    Token counts are the ledger's averages for the stage and model, or else an estimate from the length of each
    request. Dollars are computed at today's price, without discounts for cached input; a price per image comes first.

    Args:
        settings: the endpoint.
        ledger_place: its ledger, which may not exist yet.
        expected: yields the requests, one by one; it is given the ledger, None if there is none.
    """
    ledger = Ledger(ledger_place) if ledger_place.exists() else None
    averages: tuple[float, float] | None = None
    count = made = prompt = completion = 0
    try:
        for request, completion_tokens in expected(ledger):
            if _is_answered(ledger, request):
                continue
            if not count:
                averages = _averages(None if ledger is None else ledger.usage(request.stage, settings.model))
            count += 1
            made += isinstance(request, ImageRequest)
            if averages is None:
                prompt += prompt_size(body_of(settings, request)).likely_tokens
                completion += completion_tokens
    finally:
        if ledger is not None:
            ledger.close()
    if averages is not None:
        prompt, completion = (round(average * count) for average in averages)
    price = price_of(settings)
    if price is None:
        return Forecast(Spent(count, prompt, completion, Decimal(0), count), averages is not None or not count)
    dollars = price.cost(prompt, completion) if not made or price.picture is None else made * price.picture
    return Forecast(Spent(count, prompt, completion, dollars), averages is not None or not count)


def _is_answered(ledger: Ledger | None, request: ChatRequest) -> bool:
    entry = None if ledger is None else ledger.find(request.request_id)
    return entry is not None and entry.reply is not None


def _averages(usage: Usage | None) -> tuple[float, float] | None:
    if usage is None or usage.prompt_tokens is None or usage.completion_tokens is None:
        return None
    return usage.prompt_tokens, usage.completion_tokens
