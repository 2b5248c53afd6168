"""Interface of authors, which write the prompts of an ability and the dialogues about its images.

An author first plans its rows, which is cheap and deterministic and gives every row its id and key. It then writes
the requested rows in any order and yields each as it finishes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from stablellava_assets.abilities.catalog import AnyAbility, Catalog
from stablellava_assets.endpoint.usage import Forecast, Usage
from stablellava_assets.tables.pair_rows import Asked, Dialogue, PaintedImage, PromptSpec, WrittenSpec
from stablellava_assets.tables.rows import AnyPlanned

NOT_ASKED: Asked = {
    "model": None,
    "prompt_tokens": None,
    "completion_tokens": None,
    "cost_usd": None,
    "request_id": None,
    "example_ids": None,
}
"""Values of the chat model columns for rows written without one."""


class Author(Protocol):
    """Writes ``prompt_specs`` and ``dialogues`` rows."""

    name: str
    is_slow: bool
    """Whether writing a row takes long, as a chat model's answer does. Rows of fast authors are journaled in groups."""

    def abilities(self, catalog: Catalog) -> list[str]:
        """The abilities this author can write for, in the catalog's order."""
        ...

    def plan_prompts(self, ability: AnyAbility, batch: str, count: int) -> list[AnyPlanned]:
        """Plan at most ``count`` prompts of a batch, or groups of them. A larger ``count`` only appends rows."""
        ...

    def write_prompts(self, planned: Sequence[AnyPlanned]) -> Iterable[PromptSpec]:
        """Write ``prompt_specs`` rows."""
        ...

    def plan_dialogues(
        self, ability: AnyAbility, painted: Sequence[tuple[WrittenSpec, PaintedImage]]
    ) -> list[AnyPlanned]:
        """Plan the dialogues about images, each given with its prompt.

        Of a group of images, none is planned unless all images are given.
        """
        ...

    def write_dialogues(self, planned: Sequence[AnyPlanned]) -> Iterable[Dialogue]:
        """Write ``dialogues`` rows."""
        ...

    def forecast(self, planned: Sequence[AnyPlanned]) -> Forecast | None:
        """The expected cost of writing these rows, without calling the chat model; None if no chat model is used."""
        ...

    def take_usage(self) -> Usage:
        """The chat model usage since the last call."""
        ...


class NoChatModel:
    """Mixin for authors that do not call a chat model."""

    is_slow = False

    def forecast(self, planned: Sequence[AnyPlanned]) -> None:
        """Always None."""

    def take_usage(self) -> Usage:
        """Always empty."""
        return Usage()
