"""What a prompt claims that its picture shows, as questions to a vision-language model.

One question a fact, as in TIFA (Hu et al., 2023) and DSG (Cho et al., 2024). Where an ability of the catalog teaches what a
fact names, its own yes-no question is asked ("Is the umbrella red?"), which is natural for any model and is what the
project's own checkpoints have learned. Their bases have learned to write captions, and are asked for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from stablellava_assets.abilities.captions import CAPTION_REQUESTS, caption_of_facts
from stablellava_assets.abilities.catalog import Ability, Catalog, Subject
from stablellava_assets.abilities.questions import affirmation
from stablellava_assets.tables.pair_rows import WrittenSpec

Answers = Literal["catalog", "caption", "yes"]

WHOLE_PROMPT = "prompt"
"""The fact of a claim that is about the whole prompt."""

_CAPTION_BEGINS, _CAPTION_ENDS = "This is ", "."
_PLAIN = {
    "scene": "Was the picture taken here: {value}?",
    "style": "Is the style of the picture {value}?",
}
_PLAIN_DEFAULT = "Does the picture show {value}?"
_BRIEFLY = " Please answer yes or no."


@dataclass(frozen=True)
class Claim:
    """That a picture shows ``text``. ``fact`` says what of the prompt that is.

    ``question`` and ``answer`` put it to a vision-language model, and ``part`` says which characters of the answer count.
    All three are None where picture and text are compared by vectors, and where there is no question, as ``problem`` explains.
    """

    fact: str
    text: str
    question: str | None = None
    answer: str | None = None
    part: tuple[int, int] | None = None
    problem: str | None = None


def caption_of(spec: WrittenSpec) -> str:
    """What the prompt says that a picture can show: its known facts, else its subject and keywords."""
    facts = facts_of(spec)
    # A subject that is not of the catalog comes without an answer; what is around it then stands in keywords alone.
    return caption_of_facts(facts) if "answer" in facts else ", ".join([spec["subject"], *spec["keywords"]])


def facts_of(spec: WrittenSpec) -> dict[str, str]:
    """The facts of a ``prompt_specs`` row by name."""
    return {fact["name"]: fact["value"] for fact in spec["facts"]}


class FactQuestions:
    """Claims about the facts of prompts: ``ask`` says which, and what kind of answer counts."""

    def __init__(self, catalog: Catalog, ask: Mapping[str, Answers]) -> None:
        self._catalog = catalog
        self._ask = ask

    def about(self, spec: WrittenSpec) -> Iterator[Claim]:
        """A claim a fact that a ``prompt_specs`` row has, in the order of ``ask``."""
        facts = facts_of(spec)
        subject = self._own_subject(spec)
        if subject is not None:
            facts |= {name: value for name, value in subject[1].details.items() if name == "thing"}
        for fact, answers in self._ask.items():
            if fact in facts:
                yield self._claim(spec, fact, facts[fact], answers)

    def _claim(self, spec: WrittenSpec, fact: str, value: str, answers: Answers) -> Claim:
        if answers == "caption":
            return _captioned(caption_of(spec), fact, value)
        taught = self._taught(spec, fact, value)
        if taught is None and answers == "catalog":
            return Claim(
                fact,
                value,
                problem="no ability of the catalog teaches it, so its checkpoints know no question about it",
            )
        if taught is None:
            question, answer = _PLAIN.get(fact, _PLAIN_DEFAULT).format(value=value), ""
        else:
            question, answer = affirmation(*taught)
        return whole_answer(fact, value, question, answer) if answers == "catalog" else _yes(fact, value, question)

    def _taught(self, spec: WrittenSpec, fact: str, value: str) -> tuple[Ability, Subject] | None:
        """The ability that asks about ``value``: the prompt's own where it can, else the first that draws it."""
        own = self._own_subject(spec) if fact == "subject" else None
        return own or self._drawn.get(value.casefold())

    def _own_subject(self, spec: WrittenSpec) -> tuple[Ability, Subject] | None:
        ability = self._catalog.get(spec["ability"])
        try:
            return None if ability is None else (ability, ability.subject_named(spec["subject"]))
        except KeyError:
            return None

    @cached_property
    def _drawn(self) -> dict[str, tuple[Ability, Subject]]:
        drawn: dict[str, tuple[Ability, Subject]] = {}
        for ability in self._catalog.values():
            for subject in ability.drawn_subjects:
                drawn.setdefault(subject.name.casefold(), (ability, subject))
        return drawn


def whole_answer(fact: str, text: str, question: str, answer: str) -> Claim:
    """A claim that goes by every word of the answer."""
    return Claim(fact, text, question, answer, (0, len(answer)))


def _yes(fact: str, value: str, question: str) -> Claim:
    return whole_answer(fact, value, question + _BRIEFLY, "Yes")


def _captioned(written: str, fact: str, value: str) -> Claim:
    # What stands at the end of a caption may be named before it, too: "fish in the desert, desert".
    at = written.find(value) if fact in ("subject", "thing") else written.rfind(value)
    if at < 0:
        return Claim(fact, value, problem="the caption does not name it")
    start = len(_CAPTION_BEGINS) + at
    answer = f"{_CAPTION_BEGINS}{written}{_CAPTION_ENDS}"
    return Claim(fact, value, CAPTION_REQUESTS[0], answer, (start, start + len(value)))
