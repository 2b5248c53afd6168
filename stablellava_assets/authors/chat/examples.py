"""In-context examples: the ability's own, and with every batch more of what the filters kept of earlier ones."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict

from stablellava_assets.abilities.catalog import Ability
from stablellava_assets.tables.findings import StoredFinding
from stablellava_assets.tables.identity import ranked
from stablellava_assets.tables.reading import only, texts_of
from stablellava_assets.tables.schemas import FILTERED_PAIRS, PROMPT_SPECS, REJECTED_PAIRS
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.table import AnyTable, columns_of, rows_of
from stablellava_assets.text.conversations import Turn, without_marks

_LOOKED_AT = 2000
"""Kept texts among which examples are chosen; of more, a stable sample is taken, so that planning stays quick."""

_WORD = re.compile(r"\w+")


class _Judged(TypedDict):
    spec_ids: list[str]
    prompt: str
    conversations: list[Turn]
    findings: list[StoredFinding]


@dataclass(frozen=True)
class Example:
    """A text that shows a model what a good answer is."""

    text: str

    @cached_property
    def example_id(self) -> str:
        """The first 16 hex digits of the text's SHA-256, by which rows name it: ``left(sha256(prompt), 16)`` in SQL."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @cached_property
    def words(self) -> frozenset[str]:
        """Its different words, in lower case."""
        return frozenset(_WORD.findall(self.text.casefold()))


@dataclass(frozen=True)
class Known:
    """The texts of an ability that may serve: its ``own``, those that the filters ``kept``, and all there are ``by_id``."""

    own: tuple[Example, ...]
    kept: tuple[Example, ...]
    by_id: Mapping[str, Example]

    def choose(self, most: int) -> tuple[Example, ...]:
        """The ability's own, then kept ones, each as unlike those before it as can be, up to ``most``."""
        return (*self.own[:most], *_farthest(self.own, self.kept, most - len(self.own)))

    def has(self, ids: Iterable[str]) -> bool:
        """Whether all of these texts are still there."""
        return all(example_id in self.by_id for example_id in ids)


def known_prompts(store: ParquetStore, ability: Ability, batch: str) -> Known:
    """Prompts of the batches before ``batch``. Good is one of which every pair was kept without as much as a note."""
    kept, rejected = _verdicts(store, ability, batch)
    doubted = {row["spec_ids"][0] for row in rejected} | {row["spec_ids"][0] for row in kept if row["findings"]}
    good = [Example(row["prompt"]) for row in kept if row["spec_ids"][0] not in doubted]
    others = [Example(row["prompt"]) for row in [*kept, *rejected]]
    return _known([Example(text) for text in ability.chat.examples], good, others)


def known_dialogues(store: ParquetStore, ability: Ability, batch: str) -> Known:
    """Conversations of the batches before ``batch``. Good is one that was kept without as much as a note."""
    kept, rejected = _verdicts(store, ability, batch)
    own = [Example(shown(given.prompt, [(given.question, given.answer)])) for given in ability.chat.dialogue_examples]
    good = [_conversation(row) for row in kept if not row["findings"]]
    return _known(own, good, [_conversation(row) for row in [*kept, *rejected]])


def shown(prompt: str, turns: Sequence[tuple[str, str]]) -> str:
    """A conversation as an example shows it."""
    return "\n".join([f"Prompt: {prompt}", *(f"Question: {question}\nAnswer: {answer}" for question, answer in turns)])


def _verdicts(store: ParquetStore, ability: Ability, batch: str) -> tuple[list[_Judged], list[_Judged]]:
    """Kept and rejected pairs about prompts that a chat model wrote, of the ability's earlier batches."""
    earlier = [found for found in store.partitions(PROMPT_SPECS) if found[0] == ability.ability and found[1] < batch]
    written = set(
        texts_of(only(store.read_all(PROMPT_SPECS, earlier, ["spec_id", "author"]), "author", "chat"), "spec_id")
    )

    def read(table: AnyTable) -> list[_Judged]:
        rows = rows_of(_Judged, store.read_all(table, earlier, columns_of(_Judged))) if written else []
        return [row for row in rows if row["spec_ids"][0] in written]

    return read(FILTERED_PAIRS), read(REJECTED_PAIRS)


def _conversation(row: _Judged) -> Example:
    texts = [without_marks(turn["value"]) for turn in row["conversations"]]
    return Example(shown(row["prompt"], list(zip(texts[::2], texts[1::2], strict=True))))


def _known(own: Sequence[Example], good: Iterable[Example], others: Iterable[Example]) -> Known:
    by_id = {example.example_id: example for example in [*others, *own]}
    different = {example.example_id: example for example in good}
    for example in own:
        different.pop(example.example_id, None)
    sample = ranked(sorted(different), "examples looked at")[:_LOOKED_AT] if different else []
    return Known(tuple(own), tuple(different[example_id] for example_id in sample), by_id)


def _farthest(shown_before: Sequence[Example], options: Sequence[Example], count: int) -> list[Example]:
    """Up to ``count`` of ``options``, each the one least like the nearest of those before it (greedy max-min)."""
    nearest = {option: max((_likeness(option, given) for given in shown_before), default=0.0) for option in options}
    chosen: list[Example] = []
    while nearest and len(chosen) < count:
        best = min(nearest, key=lambda option: (nearest[option], option.example_id))
        del nearest[best]
        chosen.append(best)
        for option, likeness in nearest.items():
            nearest[option] = max(likeness, _likeness(option, best))
    return chosen


def _likeness(one: Example, other: Example) -> float:
    """The Jaccard index of their words."""
    return len(one.words & other.words) / len(one.words | other.words)
