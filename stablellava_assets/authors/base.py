"""What an author is: who writes the prompts of an ability and the dialogues about its pictures.

An author first plans its rows, which is cheap and deterministic and gives every row its id and key, and then writes
those that are asked for, in any order, each yielded as it finishes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from stablellava_assets.abilities.catalog import Ability, Catalog
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
"""What stands in the columns about the chat model where none was asked."""


class Author(Protocol):
    """Writes ``prompt_specs`` and ``dialogues`` rows."""

    name: str
    waits: bool
    """Whether a row takes time, as an answer of a model does; those that take none go to the journal in groups."""

    def abilities(self, catalog: Catalog) -> list[str]:
        """The abilities this author can write for, in the catalog's order."""
        ...

    def plan_prompts(self, ability: Ability, batch: str, count: int) -> list[AnyPlanned]:
        """The prompts of a batch: at most ``count``; growing ``count`` only appends."""
        ...

    def write_prompts(self, planned: Sequence[AnyPlanned]) -> Iterable[PromptSpec]:
        """Write ``prompt_specs`` rows."""
        ...

    def plan_dialogues(self, ability: Ability, painted: Sequence[tuple[WrittenSpec, PaintedImage]]) -> list[AnyPlanned]:
        """The dialogues about painted pictures, each given with its prompt."""
        ...

    def write_dialogues(self, planned: Sequence[AnyPlanned]) -> Iterable[Dialogue]:
        """Write ``dialogues`` rows."""
        ...

    def forecast(self, planned: Sequence[AnyPlanned]) -> Forecast | None:
        """What writing these rows would take of a chat model, which is not asked; None where none would be."""
        ...

    def take_usage(self) -> Usage:
        """What was paid to a chat model since this was last called."""
        ...


class AsksNoModel:
    """Mixin for authors that do not call a chat model."""

    waits = False

    def forecast(self, planned: Sequence[AnyPlanned]) -> None:
        """Nothing."""

    def take_usage(self) -> Usage:
        """Nothing."""
        return Usage()
