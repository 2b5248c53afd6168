"""In-context examples: the ability's own, and a growing number of kept texts from earlier batches."""

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

_MAX_CANDIDATES = 2000
"""Maximum number of kept texts to choose from, a stable sample, which keeps planning fast."""

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
        """The first 16 hex digits of the text's SHA-256, by which rows refer to it:
        ``left(sha256(prompt), 16)`` in SQL."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @cached_property
    def words(self) -> frozenset[str]:
        """The distinct words, in lower case."""
        return frozenset(_WORD.findall(self.text.casefold()))


@dataclass(frozen=True)
class ExamplePool:
    """Candidate examples of an ability: its ``own``, those that the filters ``kept``,
    and all existing texts ``by_id``."""

    own: tuple[Example, ...]
    kept: tuple[Example, ...]
    by_id: Mapping[str, Example]

    def choose(self, most: int) -> tuple[Example, ...]:
        """The ability's own examples and then kept ones, selected for diversity, up to ``most``."""
        return (*self.own[:most], *_most_diverse(self.own, self.kept, most - len(self.own)))

    def contains_all(self, ids: Iterable[str]) -> bool:
        """Whether all of these examples still exist."""
        return all(example_id in self.by_id for example_id in ids)


def prompt_examples(store: ParquetStore, ability: Ability, batch: str) -> ExamplePool:
    """Prompts of the batches before ``batch``. A prompt is good if all of its pairs were kept without any finding."""
    kept, rejected = _verdicts(store, ability, batch)
    with_findings = {row["spec_ids"][0] for row in rejected} | {row["spec_ids"][0] for row in kept if row["findings"]}
    good = [Example(row["prompt"]) for row in kept if row["spec_ids"][0] not in with_findings]
    others = [Example(row["prompt"]) for row in [*kept, *rejected]]
    return _pool([Example(text) for text in ability.chat.examples], good, others)


def dialogue_examples_of(store: ParquetStore, ability: Ability, batch: str) -> ExamplePool:
    """Conversations of the batches before ``batch``. A conversation is good if it was kept without any finding."""
    kept, rejected = _verdicts(store, ability, batch)
    own = [Example(shown(given.prompt, [(given.question, given.answer)])) for given in ability.chat.dialogue_examples]
    good = [_conversation(row) for row in kept if not row["findings"]]
    return _pool(own, good, [_conversation(row) for row in [*kept, *rejected]])


def shown(prompt: str, turns: Sequence[tuple[str, str]]) -> str:
    """A conversation in the format of an example."""
    return "\n".join([f"Prompt: {prompt}", *(f"Question: {question}\nAnswer: {answer}" for question, answer in turns)])


def _verdicts(store: ParquetStore, ability: Ability, batch: str) -> tuple[list[_Judged], list[_Judged]]:
    """Kept and rejected pairs of the ability's earlier batches whose prompts a chat model wrote."""
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


def _pool(own: Sequence[Example], good: Iterable[Example], others: Iterable[Example]) -> ExamplePool:
    by_id = {example.example_id: example for example in [*others, *own]}
    different = {example.example_id: example for example in good}
    for example in own:
        different.pop(example.example_id, None)
    sample = ranked(sorted(different), "examples looked at")[:_MAX_CANDIDATES] if different else []
    return ExamplePool(tuple(own), tuple(different[example_id] for example_id in sample), by_id)


def _most_diverse(shown_before: Sequence[Example], options: Sequence[Example], count: int) -> list[Example]:
    """Up to ``count`` of ``options``: each is the one least similar to the examples before it (greedy max-min)."""
    nearest = {option: max((_jaccard(option, given) for given in shown_before), default=0.0) for option in options}
    chosen: list[Example] = []
    while nearest and len(chosen) < count:
        best = min(nearest, key=lambda option: (nearest[option], option.example_id))
        del nearest[best]
        chosen.append(best)
        for option, similarity in nearest.items():
            nearest[option] = max(similarity, _jaccard(option, best))
    return chosen


def _jaccard(one: Example, other: Example) -> float:
    return len(one.words & other.words) / len(one.words | other.words)
