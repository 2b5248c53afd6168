"""What a request may take before its answer tells: a bound for budgets, a guess for rate caps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from stablellava_assets.endpoint.prices import Price

_TOKENS_AROUND_A_MESSAGE = 16
_BYTES_A_TOKEN = 4
_LIKELY_PICTURE_TOKENS = 800


@dataclass(frozen=True)
class PromptSize:
    """What a request sends: bytes of text (its schema included), messages and pictures."""

    text_bytes: int
    messages: int
    pictures: int

    @property
    def likely_tokens(self) -> int:
        """A guess of the prompt's tokens."""
        return (
            self.text_bytes // _BYTES_A_TOKEN
            + _TOKENS_AROUND_A_MESSAGE * self.messages
            + _LIKELY_PICTURE_TOKENS * self.pictures
        )

    def most_tokens(self, price: Price) -> int:
        """A bound of the prompt's tokens: no tokenizer makes more than one of a byte."""
        return self.text_bytes + _TOKENS_AROUND_A_MESSAGE * (self.messages + 1) + price.picture_tokens * self.pictures


def prompt_size(body: Mapping[str, Any]) -> PromptSize:
    """The size of a request's body."""
    text, pictures = 0, int("image" in body)
    messages = body["messages"] if "messages" in body else [{"content": body["prompt"]}]
    for message in messages:
        content = message["content"]
        for part in [{"text": content}] if isinstance(content, str) else content:
            if "text" in part:
                text += len(part["text"].encode())
            else:
                pictures += 1
    if "response_format" in body:
        text += len(json.dumps(body["response_format"]))
    return PromptSize(text, len(messages), pictures)


def worst_cost(size: PromptSize, max_output_tokens: int, price: Price | None, pictures_made: int = 0) -> Decimal | None:
    """Most US dollars that a request can cost; None if its price is unknown."""
    if price is not None and pictures_made and price.picture is not None:
        return pictures_made * price.picture
    return None if price is None else price.cost(size.most_tokens(price), max_output_tokens)
