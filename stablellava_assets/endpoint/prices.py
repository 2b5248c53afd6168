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

PICO = Decimal("0.000000000001")
"""Costs are whole picodollars, so that sums are exact: a token at a dollar per million costs a million of them."""

_DATED = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_PICTURE_TOKENS = {
    "gpt-4o": 1445,
    "gpt-4o-mini": 48169,
    "gpt-4.1": 1445,
    "gpt-4.1-mini": 2489,
    "gpt-4.1-nano": 3779,
    "gpt-5": 1190,
    "gpt-5-mini": 2489,
    "gpt-5-nano": 3779,
    "gpt-3.5-turbo": 2000,
    "o3": 1275,
    "o4-mini": 2642,
}
"""The most input tokens that one picture counts as, by model, which budgets reserve; of another model
that is priced, the most of these."""
_SIMPLE = {"input_mtok", "cache_read_mtok", "output_mtok", "web_searches_kcount", "storage_searches_kcount"}
"""Prices that a request costs its tokens' worth by; a model with others, as for pictures or long
prompts, is not priced by ours."""
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

    The user's file comes first, then OpenAI's own prices (of the package genai-prices), which count for
    OpenAI and Azure only. A dated model, as in ``gpt-4o-mini-2024-07-18``, has the price of the undated
    one unless it is listed itself.

    Raises:
        DocumentError: the user's file has a mistake; file, line, key and reason are named.
    """
    names = (settings.model, _DATED.sub("", settings.model))
    listed = {} if settings.prices is None else _read(settings.prices)
    found = listed.get(names[0]) or listed.get(names[1])
    if found is None and settings.is_official:
        found = _official(names[0]) or _official(names[1])
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


def _official(model: str) -> ListedPrice | None:
    """OpenAI's price of a model; None if it has none, or one that is more than three prices of tokens."""
    from genai_prices import Usage, calc_price

    try:
        found = calc_price(Usage(), model, provider_id="openai")
    except LookupError:
        return None
    prices = {name: value for name, value in vars(found.model_price).items() if value is not None}
    given, cached, written = (prices.get(name) for name in ("input_mtok", "cache_read_mtok", "output_mtok"))
    if not (prices.keys() <= _SIMPLE and isinstance(given, Decimal) and isinstance(written, Decimal)):
        return None
    return ListedPrice(
        input=given,
        cached_input=cached if isinstance(cached, Decimal) else None,
        output=written,
        picture_tokens=_PICTURE_TOKENS.get(found.model.id, max(_PICTURE_TOKENS.values())),
    )


def _per_token(dollars_per_million: Decimal) -> Decimal:
    return (dollars_per_million / 1_000_000).quantize(PICO, ROUND_UP)


@lru_cache(maxsize=8)
def _read(path: Path) -> dict[str, ListedPrice]:
    return load_document(path, PriceFile).root
