"""Statements that an image must satisfy to match its prompt, as questions to a vision-language model.

There is one question per fact, as in TIFA (Hu et al., 2023) and DSG (Cho et al., 2024). If an ability of the
catalog asks about the fact, its own yes-no question is used ("Is the umbrella red?"): it reads naturally to any
model, and the project's own checkpoints were trained on it. Their base models were trained to write captions,
so they are asked for a caption.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from stablellava_assets.abilities.ability import Ability, Subject
from stablellava_assets.abilities.captions import CAPTION_REQUESTS, caption_of_facts
from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.abilities.multi_image import MultiImageAbility
from stablellava_assets.abilities.questions import affirmation
from stablellava_assets.tables.pair_rows import WrittenSpec, facts_of

Answers = Literal["catalog", "caption", "yes"]

WHOLE_PROMPT = "prompt"
"""Name of the fact whose statement covers the whole prompt."""

_CAPTION_BEGINS, _CAPTION_ENDS = "This is ", "."
_PLAIN = {
    "scene": "Was the picture taken here: {value}?",
    "style": "Is the style of the picture {value}?",
}
_PLAIN_DEFAULT = "Does the picture show {value}?"
_BRIEFLY = " Please answer yes or no."


@dataclass(frozen=True)
class Statement:
    """The statement that an image shows ``text``; ``fact`` names the part of the prompt it is about.

    ``question`` and ``answer`` are sent to a vision-language model, and ``part`` is the range of characters of the
    answer that is scored. All three are None for scorers that compare embeddings, and if no question can be asked, in
    which case ``problem`` says why. The field names are part of the row keys of scores.
    """

    fact: str
    text: str
    question: str | None = None
    answer: str | None = None
    part: tuple[int, int] | None = None
    problem: str | None = None


def caption_of(spec: WrittenSpec) -> str:
    """The visible content of a prompt as a caption: its known facts, or else its subject and keywords."""
    facts = facts_of(spec)
    # A subject outside the catalog has no "answer" fact; its context is then found only in the keywords.
    return caption_of_facts(facts) if "answer" in facts else ", ".join([spec["subject"], *spec["keywords"]])


class FactQuestions:
    """Builds statements about the facts of prompts. ``ask`` maps each fact to the kind of answer that is scored."""

    def __init__(self, catalog: Catalog, ask: Mapping[str, Answers]) -> None:
        self._catalog = catalog
        self._ask = ask

    def about(self, spec: WrittenSpec) -> Iterator[Statement]:
        """One statement per fact of a ``prompt_specs`` row, in the order of ``ask``."""
        facts = facts_of(spec)
        subject = self._own_subject(spec)
        if subject is not None:
            facts |= {name: value for name, value in subject[1].details.items() if name == "thing"}
        for fact, answers in self._ask.items():
            if fact in facts:
                yield self._statement(spec, fact, facts[fact], answers)

    def _statement(self, spec: WrittenSpec, fact: str, value: str, answers: Answers) -> Statement:
        if answers == "caption":
            return _caption_statement(caption_of(spec), fact, value)
        asking = self._asking(spec, fact, value)
        if asking is None and answers == "catalog":
            return Statement(
                fact,
                value,
                problem="no ability of the catalog teaches it, so its checkpoints know no question about it",
            )
        if asking is None:
            question, answer = _PLAIN.get(fact, _PLAIN_DEFAULT).format(value=value), ""
        else:
            question, answer = affirmation(*asking)
        return (
            whole_answer_statement(fact, value, question, answer)
            if answers == "catalog"
            else _yes_statement(fact, value, question)
        )

    def _asking(self, spec: WrittenSpec, fact: str, value: str) -> tuple[Ability, Subject] | None:
        """The ability and subject that ask about ``value``: the prompt's own if
        possible, else the first that draws it."""
        own = self._own_subject(spec) if fact == "subject" else None
        return own or self._subjects_by_name.get(value.casefold())

    def _own_subject(self, spec: WrittenSpec) -> tuple[Ability, Subject] | None:
        ability = self._catalog.get(spec["ability"])
        try:
            if isinstance(ability, MultiImageAbility):
                ability = ability.source_of(spec["subject"])
            return None if ability is None else (ability, ability.subject_named(spec["subject"]))
        except KeyError:
            return None

    @cached_property
    def _subjects_by_name(self) -> dict[str, tuple[Ability, Subject]]:
        drawn: dict[str, tuple[Ability, Subject]] = {}
        for ability in self._catalog.single.values():
            for subject in ability.drawn_subjects:
                drawn.setdefault(subject.name.casefold(), (ability, subject))
        return drawn


def whole_answer_statement(fact: str, text: str, question: str, answer: str) -> Statement:
    """A statement for which every character of the answer is scored."""
    return Statement(fact, text, question, answer, (0, len(answer)))


def _yes_statement(fact: str, value: str, question: str) -> Statement:
    return whole_answer_statement(fact, value, question + _BRIEFLY, "Yes")


def _caption_statement(written: str, fact: str, value: str) -> Statement:
    # The value of a trailing fact may also occur earlier in the caption: "fish in the desert, desert".
    at = written.find(value) if fact in ("subject", "thing") else written.rfind(value)
    if at < 0:
        return Statement(fact, value, problem="the caption does not name it")
    start = len(_CAPTION_BEGINS) + at
    answer = f"{_CAPTION_BEGINS}{written}{_CAPTION_ENDS}"
    return Statement(fact, value, CAPTION_REQUESTS[0], answer, (start, start + len(value)))
