"""Assigns subjects to prompts in rotation, so that none dominates whatever the model would prefer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.tables.identity import choose, choose_weighted, ranked

_VIEWS = (
    "seen from close by",
    "at a medium distance",
    "seen from far away",
    "from above",
    "from low down",
    "from the side",
)
_SETTINGS = ("where one would expect it", "indoors", "outdoors", "in a place one would not think of first")


@dataclass(frozen=True)
class Slot:
    """A prompt to write: its index in the batch, its subject, and other required content by name."""

    index: int
    subject: str
    hint: str = ""
    words: tuple[tuple[str, str], ...] = ()


def guided_slots(ability: Ability, batch: str, count: int) -> list[Slot]:
    """Slots about the ability's ``chat.keywords``. Each has a hint, because a model left to itself repeats itself."""
    subjects = _subjects(ability, list(dict.fromkeys(ability.chat.keywords)), batch, count)
    return [Slot(index, subject, hint_of(ability.ability, batch, index)) for index, subject in enumerate(subjects)]


def drawn_slots(ability: Ability, batch: str, count: int) -> list[Slot]:
    """Slots about subjects that the embedded painter draws, with the scene or content that their images need."""
    names = _subjects(ability, [subject.name for subject in ability.drawn_subjects], batch, count)
    return [Slot(index, name, words=_words(ability, name, batch, index)) for index, name in enumerate(names)]


def _subjects(ability: Ability, options: Sequence[str], batch: str, count: int) -> list[str]:
    """In rotation; or drawn by the weights of the ability's brief, if it weights any of them."""
    by_name = {name.casefold(): weight for name, weight in ability.brief.subjects.items()}
    weights = {option: by_name[option.casefold()] for option in options if option.casefold() in by_name}
    if not weights:
        return rotation(options, count, ability.ability, batch)
    return [choose_weighted(options, weights, "briefed", ability.ability, batch, index) for index in range(count)]


def rotation(options: Sequence[str], count: int, *parts: str) -> list[str]:
    """``count`` of ``options`` in rounds. Each round contains every option once, in a random order."""
    rounds = -(-count // len(options))
    return [option for number in range(rounds) for option in ranked(options, "rotation", *parts, number)][:count]


def hint_of(ability: str, batch: str, index: int) -> str:
    """Where to look from, and where the subject is."""
    seed = ("hint", ability, batch, index)
    return f"{choose(_VIEWS, *seed, 'view')}, {choose(_SETTINGS, *seed, 'setting')}"


def _words(ability: Ability, name: str, batch: str, index: int) -> tuple[tuple[str, str], ...]:
    subject, vocabulary = ability.subject_named(name), ability.prompts
    options = {
        "content": vocabulary.contents,
        "scene": [subject.scene] if subject.scene else vocabulary.scenes,
    }
    seed = ("words", ability.ability, batch, index)
    return tuple((kind, choose(words, *seed, kind)) for kind, words in options.items() if words)
