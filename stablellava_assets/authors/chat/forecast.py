"""Estimates the cost of requests before any is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from stablellava_assets.authors.chat.bundles import split_as_paid
from stablellava_assets.authors.chat.dialogue_requests import DialogueRequest
from stablellava_assets.authors.chat.pictures import MissingPictureError
from stablellava_assets.authors.chat.prompt_requests import PromptRequest
from stablellava_assets.endpoint.estimates import prompt_size
from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.endpoint.prices import price_of
from stablellava_assets.endpoint.requests import ChatRequest, body_of
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.endpoint.usage import Forecast, Spent
from stablellava_assets.state.sql import StatePlace

BundledRequest = PromptRequest[Any, Any] | DialogueRequest[Any, Any]


def forecast(settings: EndpointSettings, ledger_place: StatePlace, bundles: Sequence[BundledRequest]) -> Forecast:
    """The expected cost. Answers in the ledger are free.

    Token counts are the ledger's averages for the stage and model, or else an estimate from the length of each
    request. Dollars are computed at today's price, without discounts for cached input.
    """
    ledger = Ledger(ledger_place) if ledger_place.exists() else None
    try:
        unanswered = [
            (part, request)
            for bundle in bundles
            for part in split_as_paid(bundle, ledger, _chat_request)
            if not _is_answered(ledger, request := _chat_request(part))
        ]
        averages = ledger.usage(unanswered[0][1].stage, settings.model) if ledger and unanswered else None
    finally:
        if ledger is not None:
            ledger.close()
    count = len(unanswered)
    measured = averages is not None and averages.prompt_tokens is not None and averages.completion_tokens is not None
    if averages is not None and averages.prompt_tokens is not None and averages.completion_tokens is not None:
        prompt, completion = round(averages.prompt_tokens * count), round(averages.completion_tokens * count)
    else:
        prompt = sum(prompt_size(body_of(settings, request)).likely_tokens for _, request in unanswered)
        completion = sum(bundle.likely_completion_tokens for bundle, _ in unanswered)
    price = price_of(settings)
    dollars = Decimal(0) if price is None else price.cost(prompt, completion)
    spent = Spent(count, prompt, completion, dollars, count if price is None else 0)
    return Forecast(spent, measured or not unanswered)


def _is_answered(ledger: Ledger | None, request: ChatRequest) -> bool:
    entry = None if ledger is None else ledger.find(request.request_id)
    return entry is not None and entry.reply is not None


def _chat_request(bundle: BundledRequest) -> ChatRequest:
    try:
        return bundle.chat_request()
    except MissingPictureError:
        # The image does not exist yet; any image gives the same request length.
        assert isinstance(bundle, DialogueRequest)
        return replace(bundle, encoded=lambda image_id: (b"", "picture.png")).chat_request()
