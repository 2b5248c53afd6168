"""Estimates the cost of requests before any is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from stablellava_assets.authors.chat.bundles import split_as_paid
from stablellava_assets.authors.chat.dialogue_requests import DialogueRequest
from stablellava_assets.authors.chat.pictures import MissingPictureError
from stablellava_assets.authors.chat.prompt_requests import PromptRequest
from stablellava_assets.endpoint.forecasting import Expected
from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.endpoint.requests import ChatRequest

BundledRequest = PromptRequest[Any, Any] | DialogueRequest[Any, Any]


def expected_requests(bundles: Sequence[BundledRequest], ledger: Ledger | None) -> Iterator[Expected]:
    """What would be asked, split where an earlier run has paid a part."""
    for bundle in bundles:
        for part in split_as_paid(bundle, ledger, _chat_request):
            yield Expected(_chat_request(part), part.likely_completion_tokens)


def _chat_request(bundle: BundledRequest) -> ChatRequest:
    try:
        return bundle.chat_request()
    except MissingPictureError:
        # The image does not exist yet; any image gives the same request length.
        assert isinstance(bundle, DialogueRequest)
        return replace(bundle, encoded=lambda image_id: (b"", "picture.png")).chat_request()
