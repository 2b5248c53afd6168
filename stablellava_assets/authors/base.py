"""What an author is: who writes the prompts of an ability and the dialogues about its pictures.

An author first plans its rows, which is cheap and deterministic and gives every row its id and key, and then writes
those that are asked for, in any order: as an iterator, each yielded as it finishes, or as a list where none waits for anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from stablellava_assets.abilities.catalog import Ability, Catalog
from stablellava_assets.authors.usage import Usage
from stablellava_assets.tables.rows import PlannedRow, Row

NOT_ASKED: Mapping[str, Any] = dict.fromkeys(
    ("model", "prompt_tokens", "completion_tokens", "cost_usd", "request_id", "example_ids")
)
"""What stands in the columns about the chat model where none was asked."""


class Author(Protocol):
    """Writes ``prompt_specs`` and ``dialogues`` rows."""

    name: str

    def abilities(self, catalog: Catalog) -> list[str]:
        """The abilities this author can write for, in the catalog's order."""
        ...

    def plan_prompts(self, ability: Ability, batch: str, count: int) -> list[PlannedRow]:
        """The prompts of a batch: at most ``count``; growing ``count`` only appends."""
        ...

    def write_prompts(self, planned: Sequence[PlannedRow]) -> Iterable[Row]:
        """Write ``prompt_specs`` rows."""
        ...

    def plan_dialogues(self, ability: Ability, painted: Sequence[tuple[Row, Row]]) -> list[PlannedRow]:
        """The dialogues about painted pictures, given as (``prompt_specs`` row, ``images`` row without bytes)."""
        ...

    def write_dialogues(self, planned: Sequence[PlannedRow]) -> Iterable[Row]:
        """Write ``dialogues`` rows."""
        ...

    def take_usage(self) -> Usage:
        """What was paid to a chat model since this was last called."""
        ...


class AsksNoModel:
    """Mixin for authors that do not call a chat model."""

    def take_usage(self) -> Usage:
        """Nothing."""
        return Usage()
