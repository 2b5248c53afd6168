"""What a prompt claims that its picture shows, as questions to a vision-language model.

One question a fact, as in TIFA (Hu et al., 2023) and DSG (Cho et al., 2024). Where an ability of the catalog teaches what a
fact names, its own yes-no question is asked ("Is the umbrella red?"), which is natural for any model and is what the
project's own checkpoints have learned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from stablellava_assets.abilities.catalog import Ability, Catalog, Subject
from stablellava_assets.abilities.questions import affirmation
from stablellava_assets.filters.settings import FactName
from stablellava_assets.tables.rows import Row

WHOLE_PROMPT = "prompt"
"""The fact of a claim that is about the whole prompt."""

_SHOWN = ("subject", "thing", "scene", "content", "style")
_PLAIN: dict[str, str] = {
    "scene": "Was the picture taken here: {value}?",
    "style": "Is the style of the picture {value}?",
}
_PLAIN_DEFAULT = "Does the picture show {value}?"
_BRIEFLY = " Please answer yes or no."


@dataclass(frozen=True)
class Claim:
    """That a picture shows ``text``. ``fact`` says what of the prompt that is.

    ``question`` and ``answer`` put it to a vision-language model; both are None where it is compared by vectors, and where
    there is no question about it, which ``problem`` then explains.
    """

    fact: str
    text: str
    question: str | None = None
    answer: str | None = None
    problem: str | None = None


def caption_of(spec: Row) -> str:
    """What the prompt says that a picture can show: its facts, or its keywords where it has no facts; light and quality apart."""
    facts = {fact["name"]: fact["value"] for fact in spec["facts"]}
    shown = [facts[name] for name in _SHOWN if facts.get(name)]
    return ", ".join(shown if len(shown) > 1 else [spec["subject"], *spec["keywords"]])


class FactQuestions:
    """Questions about the facts of prompts, in the wordings of the catalog."""

    def __init__(self, catalog: Catalog, facts: tuple[FactName, ...], *, plain_yes: bool) -> None:
        """``facts`` are asked about; ``plain_yes`` expects the word yes instead of the ability's own words for it."""
        self._catalog = catalog
        self._facts = facts
        self._plain_yes = plain_yes

    def about(self, spec: Row) -> Iterator[Claim]:
        """A claim a fact of a ``prompt_specs`` row, in the order of the facts."""
        facts = {fact["name"]: fact["value"] for fact in spec["facts"]}
        for fact in self._facts:
            if fact in facts:
                yield self._claim(spec, fact, facts[fact])

    def _claim(self, spec: Row, fact: str, value: str) -> Claim:
        found = self._taught(spec, fact, value)
        if found is None and not self._plain_yes:
            return Claim(
                fact, value, problem=f"no ability teaches {value!r}, so its checkpoints know no question about it"
            )
        if found is None:
            question = _PLAIN.get(fact, _PLAIN_DEFAULT).format(value=value)
            return Claim(fact, value, question + _BRIEFLY, "Yes")
        question, answer = affirmation(*found)
        return (
            Claim(fact, value, question + _BRIEFLY, "Yes") if self._plain_yes else Claim(fact, value, question, answer)
        )

    def _taught(self, spec: Row, fact: str, value: str) -> tuple[Ability, Subject] | None:
        """The ability that asks about ``value``: the prompt's own where it can, else the first that draws it."""
        own = self._catalog.get(spec["ability"]) if fact == "subject" else None
        if own is not None:
            try:
                return own, own.subject_named(value)
            except KeyError:
                pass
        return self._drawn.get(value.casefold())

    @cached_property
    def _drawn(self) -> dict[str, tuple[Ability, Subject]]:
        drawn: dict[str, tuple[Ability, Subject]] = {}
        for ability in self._catalog.values():
            for subject in ability.drawn_subjects:
                drawn.setdefault(subject.name.casefold(), (ability, subject))
        return drawn
