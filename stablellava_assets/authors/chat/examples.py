"""In-context examples: the ability's own, and good texts of the one batch that the profile names.

Which other batches are finished makes no difference.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TypedDict

from stablellava_assets.abilities.catalog import AnyAbility
from stablellava_assets.abilities.multi_image import MultiImageAbility
from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.tables.findings import REPEATS, StoredFinding
from stablellava_assets.tables.identity import ranked
from stablellava_assets.tables.reading import only, texts_of
from stablellava_assets.tables.schemas import FILTERED_PAIRS, PROMPT_SPECS, REJECTED_PAIRS
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets.tables.table import AnyTable, columns_of, rows_of
from stablellava_assets.text.conversations import Turn, without_marks

_MAX_CANDIDATES = 2000
"""Maximum number of texts to choose from, a stable sample, which keeps planning fast."""

_WORD = re.compile(r"\w+")


class _Judged(TypedDict):
    pair_id: str
    spec_ids: list[str]
    prompt: str
    further_prompts: list[str] | None
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


class ExamplesError(ExplainedError, RuntimeError):
    """The batch that examples are to come from has not been filtered; the message names the command."""


@dataclass(frozen=True)
class ExamplePool:
    """Candidate examples of an ability: its ``own``, and ``good`` ones of another batch.

    ``look_back`` yields texts of one earlier batch after the other, among which are the examples of published rows.
    """

    own: tuple[Example, ...]
    good: tuple[Example, ...] = ()
    look_back: Callable[[], Iterator[Iterable[Example]]] = lambda: iter(())

    def choose(self, most: int) -> tuple[Example, ...]:
        """The ability's own examples and then other ones, selected for diversity, up to ``most``."""
        return (*self.own[:most], *_most_diverse(self.own, self.good, most - len(self.own)))

    def find(self, ids: Iterable[str]) -> dict[str, Example]:
        """The examples with these ids that still exist."""
        wanted = set(ids)
        found: dict[str, Example] = {}
        for texts in chain([self.own, self.good], self.look_back()):
            found |= {example.example_id: example for example in texts if example.example_id in wanted}
            if len(found) == len(wanted):
                break
        return found


def prompt_examples(store: ParquetStore, ability: AnyAbility, batch: str, source: str | None) -> ExamplePool:
    """Prompts as examples for ``batch``. A prompt of the batch ``source`` is good if none of its pairs has a finding
    other than repeats.

    Raises:
        ExamplesError: ``source`` comes before ``batch`` and has not been filtered.
    """
    rows = _source_rows(store, ability, batch, source)
    with_findings = {row["spec_ids"][0] for row in rows if not _is_good(row)}
    if isinstance(ability, MultiImageAbility):
        own = [Example("\n".join(group)) for group in ability.chat.examples]
    else:
        own = [Example(text) for text in ability.chat.examples]
    good = [_prompt(row) for row in rows if row["spec_ids"][0] not in with_findings]
    return _pool(own, good, lambda: _earlier(store, ability, batch, _prompt))


def dialogue_examples_of(store: ParquetStore, ability: AnyAbility, batch: str, source: str | None) -> ExamplePool:
    """Conversations as examples for ``batch``. A conversation of the batch ``source`` is good if it has no finding
    other than repeats. Raises the errors of :func:`prompt_examples`."""
    if isinstance(ability, MultiImageAbility):
        given = [(example.prompts, example.question, example.answer) for example in ability.chat.dialogue_examples]
    else:
        given = [([example.prompt], example.question, example.answer) for example in ability.chat.dialogue_examples]
    own = [Example(shown(prompts, [(question, answer)])) for prompts, question, answer in given]
    good = [_conversation(row) for row in _source_rows(store, ability, batch, source) if _is_good(row)]
    return _pool(own, good, lambda: _earlier(store, ability, batch, _conversation))


def shown(prompts: Sequence[str], turns: Sequence[tuple[str, str]]) -> str:
    """A conversation in the format of an example."""
    return "\n".join(
        [*prompt_lines(prompts), *(f"Question: {question}\nAnswer: {answer}" for question, answer in turns)]
    )


def prompt_lines(prompts: Sequence[str]) -> list[str]:
    """The prompts of one image, or of several."""
    numbers = [""] if len(prompts) == 1 else [f" {number}" for number in range(1, len(prompts) + 1)]
    return [f"Prompt{number}: {prompt}" for number, prompt in zip(numbers, prompts, strict=True)]


def _source_rows(store: ParquetStore, ability: AnyAbility, batch: str, source: str | None) -> list[_Judged]:
    """The pairs of the batch ``source`` whose prompts a chat model wrote; none if ``batch`` does not come later."""
    if source is None or source >= batch:
        return []
    partition = (ability.ability, source)
    if not store.holds(FILTERED_PAIRS, partition):
        name = "|".join(partition)
        raise ExamplesError(
            f"author.examples_from: the examples of {ability.ability}|{batch} come from {name}, which has not been "
            f"filtered yet. Do that first, or leave the setting out:\n"
            f"  dagster asset materialize --select '*filtered_pairs' --partition '{name}'"
        )
    return _rows(store, partition)


def _rows(store: ParquetStore, partition: Partition) -> list[_Judged]:
    specs = only(store.read_all(PROMPT_SPECS, [partition], ["spec_id", "author"]), "author", "chat")
    written = set(texts_of(specs, "spec_id"))
    tables: tuple[AnyTable, ...] = (FILTERED_PAIRS, REJECTED_PAIRS) if written else ()
    rows = [
        row for table in tables for row in rows_of(_Judged, store.read_all(table, [partition], columns_of(_Judged)))
    ]
    return sorted((row for row in rows if row["spec_ids"][0] in written), key=lambda row: row["pair_id"])


def _earlier(
    store: ParquetStore, ability: AnyAbility, batch: str, example: Callable[[_Judged], Example]
) -> Iterator[Iterable[Example]]:
    """The texts of earlier batches, the latest first."""
    for partition in reversed(store.partitions(FILTERED_PAIRS)):
        if partition[0] == ability.ability and partition[1] < batch:
            yield map(example, _rows(store, partition))


def _is_good(row: _Judged) -> bool:
    """Whether there are no findings but repeats, which depend on the other batches that were filtered."""
    return all(found["rule"] in REPEATS for found in row["findings"])


def _prompts(row: _Judged) -> list[str]:
    return [row["prompt"], *(row["further_prompts"] or ())]


def _prompt(row: _Judged) -> Example:
    return Example("\n".join(_prompts(row)))


def _conversation(row: _Judged) -> Example:
    texts = [without_marks(turn["value"]) for turn in row["conversations"]]
    return Example(shown(_prompts(row), list(zip(texts[::2], texts[1::2], strict=True))))


def _pool(
    own: Sequence[Example], good: Iterable[Example], look_back: Callable[[], Iterator[Iterable[Example]]]
) -> ExamplePool:
    different = {example.example_id: example for example in good}
    for example in own:
        different.pop(example.example_id, None)
    sample = ranked(sorted(different), "examples looked at")[:_MAX_CANDIDATES] if different else []
    return ExamplePool(tuple(own), tuple(different[example_id] for example_id in sample), look_back)


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
