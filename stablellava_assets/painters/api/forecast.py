"""Estimates the cost of image requests before any is sent."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from stablellava_assets.endpoint.estimates import prompt_size
from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.endpoint.prices import price_of
from stablellava_assets.endpoint.requests import ImageRequest, body_of
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.endpoint.usage import Forecast, Spent
from stablellava_assets.state.sql import StatePlace


def picture_forecast(
    settings: EndpointSettings, ledger_place: StatePlace, requests: Sequence[ImageRequest]
) -> Forecast:
    """The expected cost of these requests. Images in the ledger are free, and no retries are assumed.

    Uses the price per image if there is one. Otherwise tokens are priced at today's rates: the ledger's averages for
    the model, or else the maximum number of tokens of an image.
    """
    ledger = Ledger(ledger_place) if ledger_place.exists() else None
    try:
        unanswered = [request for request in requests if not _is_answered(ledger, request)]
        averages = ledger.usage(unanswered[0].stage, settings.model) if ledger and unanswered else None
    finally:
        if ledger is not None:
            ledger.close()
    count, price = len(unanswered), price_of(settings)
    measured = averages is not None and averages.prompt_tokens is not None and averages.completion_tokens is not None
    if averages is not None and averages.prompt_tokens is not None and averages.completion_tokens is not None:
        prompt, completion = round(averages.prompt_tokens * count), round(averages.completion_tokens * count)
    else:
        prompt = sum(prompt_size(body_of(settings, request)).likely_tokens for request in unanswered)
        completion = sum(request.max_output_tokens for request in unanswered)
    if price is None:
        return Forecast(Spent(count, prompt, completion, Decimal(0), count), measured or not count)
    by_picture = price.picture
    dollars = price.cost(prompt, completion) if by_picture is None else count * by_picture
    return Forecast(Spent(count, prompt, completion, dollars), measured or not count)


def _is_answered(ledger: Ledger | None, request: ImageRequest) -> bool:
    entry = None if ledger is None else ledger.find(request.request_id)
    return entry is not None and entry.reply is not None
