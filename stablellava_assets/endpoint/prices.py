"""What a token costs, by model. A price that is not known is None, and so is every cost that would need it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, RootModel

from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.inputs.yaml_documents import Document, load_document

BUILT_IN_PRICES = Path(__file__).parent / "prices.yaml"
PICO = Decimal("0.000000000001")
"""Costs are whole picodollars, so that sums are exact: a token at a dollar per million costs a million of them."""

_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_Dollars = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=6)]


class ListedPrice(Document):
    """US dollars per million tokens."""

    input: _Dollars
    cached_input: _Dollars | None = Field(None, description="Cached input tokens. Unset: the price of input.")
    output: _Dollars
    picture_tokens: int = Field(2000, ge=0, description="Maximum input tokens of one image.")
    picture: _Dollars | None = Field(
        None,
        description="US dollars per generated image. Unset: images are charged by tokens.",
    )


class PriceFile(RootModel[dict[str, ListedPrice]]):
    """Prices by model."""


@dataclass(frozen=True)
class Price:
    """What a request costs, in US dollars per token."""

    input: Decimal
    cached_input: Decimal
    output: Decimal
    picture_tokens: int
    picture: Decimal | None = None

    def cost(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> Decimal:
        """US dollars, exact; ``cached_tokens`` are among the ``prompt_tokens``."""
        cached = min(cached_tokens, prompt_tokens)
        return (prompt_tokens - cached) * self.input + cached * self.cached_input + completion_tokens * self.output


def price_of(settings: EndpointSettings) -> Price | None:
    """The price of the endpoint's model in its mode; None if it is not known.

    The user's file comes first. The built-in list is OpenAI's, so it counts for OpenAI and Azure only. A dated model, as
    in ``gpt-4o-mini-2024-07-18``, has the price of the undated one unless it is listed itself.

    Raises:
        DocumentError: the user's file has a mistake; file, line, key and reason are named.
    """
    listed: dict[str, ListedPrice] = {}
    if settings.is_official:
        listed |= _read(BUILT_IN_PRICES)
    if settings.prices is not None:
        listed |= _read(settings.prices)
    found = listed.get(settings.model) or listed.get(_DATED.sub("", settings.model))
    if found is None:
        return None
    share = Decimal("0.5") if settings.mode == "batch" else Decimal(1)
    cached = found.input if found.cached_input is None else found.cached_input
    return Price(
        input=_per_token(found.input * share),
        cached_input=_per_token(cached * share),
        output=_per_token(found.output * share),
        picture_tokens=found.picture_tokens,
        picture=found.picture,
    )


def _per_token(dollars_per_million: Decimal) -> Decimal:
    return (dollars_per_million / 1_000_000).quantize(PICO, ROUND_UP)


@lru_cache(maxsize=8)
def _read(path: Path) -> dict[str, ListedPrice]:
    return load_document(path, PriceFile).root
