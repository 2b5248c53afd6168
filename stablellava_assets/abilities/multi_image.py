"""An ability about several images: how its groups of images are drawn, and how questions about them are worded.

The prompts of a group are drawn from single-image abilities. Every group compares one aspect (subject, color, scene,
style, position or number of things): its value is different in every image, the same in all of them, or different in
one. ``rest`` says whether everything else is the same, which gives exact pairs, or different.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from stablellava_assets.abilities.ability import Ability, Identifier, PromptVocabulary, Subject, Text
from stablellava_assets.abilities.brief import BriefedDocument
from stablellava_assets.abilities.prompt_format import is_well_formed
from stablellava_assets.inputs.yaml_documents import Document, MistakeAtKeyError
from stablellava_assets.text.conversations import IMAGE_MARK

Aspect = Literal["subject", "color", "scene", "style", "position", "number"]
ASPECT_WORDS: Mapping[str, str] = {
    "subject": "subject",
    "color": "color",
    "scene": "place",
    "style": "style",
    "position": "position",
    "number": "number",
}
"""What an aspect is called in questions."""

Values = Literal["different", "same", "one_odd", "related", "unrelated"]
"""Values of the compared aspect. ``related`` and ``unrelated`` concern the subjects, and are for abilities with
relations."""

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")
CARDINALS = ("one", "two", "three", "four", "five", "six")


class Relation(Document):
    """What the subject of one image does to that of another, as in farmer, drives, tractor."""

    subject: Text
    verb: Text
    object: Text


class ImageGroups(Document):
    """How groups of images are drawn."""

    count: int = Field(ge=2, le=len(ORDINALS), description="Number of images in a group.")
    abilities: list[Identifier] = Field(min_length=1, description="Abilities from which the prompts are drawn.")
    compare: list[Aspect] = Field(min_length=1, description="Aspects, of which every group compares one.")
    values: list[Values] = Field(min_length=1, description="Values of the compared aspect, of which a group has one.")
    rest: Literal["same", "different"] = Field(
        description="Whether everything but the compared aspect is the same in all images, or different."
    )
    relations: list[Relation] = Field(default_factory=list)
    marks: list[Text] = Field(
        min_length=1, description="Where the images stand: texts with an <image> mark per image, and {question}."
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for number, text in enumerate(self.marks):
            if text.count(IMAGE_MARK) != self.count or text.count("{question}") != 1:
                raise MistakeAtKeyError(
                    ("marks", number), f"{text!r} needs {self.count} {IMAGE_MARK} marks and one {{question}}"
                )
        if "one_odd" in self.values and self.count < 3:
            raise MistakeAtKeyError(("values",), "one_odd needs three images or more: of two, neither is the odd one")
        relates = {"related", "unrelated"} & {*self.values}
        if relates and (self.count, self.compare) != (2, ["subject"]):
            raise MistakeAtKeyError(("values",), "related subjects need count: 2 and compare: [subject]")
        if bool(relates) != bool(self.relations):
            raise MistakeAtKeyError(("relations",), "give relations if, and only if, values name related or unrelated")
        return self


class GroupQuestion(Document):
    """The wordings of a question. Slots are listed in docs/abilities.md."""

    name: Identifier | None = Field(None, description="Name in dialogues.")
    compare: list[Aspect] = Field(default_factory=list, description="Only for groups that compare these; empty: all.")
    values: list[Values] = Field(default_factory=list, description="Only for groups with these values; empty: all.")
    ask: list[Text] = Field(min_length=1)
    benchmark: list[Text] = Field(
        default_factory=list,
        description="The benchmark's wordings, which training never uses; empty: the benchmark does not ask this.",
    )

    @property
    def answers(self) -> Mapping[str, list[str]]:
        """The answer templates, by key: answer, or yes and no."""
        return {key: getattr(self, key) for key in ("answer", "yes", "no") if hasattr(self, key)}


Asked = Aspect | Literal["aspect", "related", "verb", "odd"]
"""What is asked about: an aspect, which aspect the group compares, whether its subjects are
related, by what, or whether an image is the odd one."""


class NamingQuestion(GroupQuestion):
    """Asks what is there. A right answer has a keyword for each of ``expected``, in their order."""

    kind: Literal["what"]
    answer: list[Text] = Field(min_length=1)
    expected: list[Text] = Field(min_length=1)


class ClaimQuestion(GroupQuestion):
    """Asks whether a value is that of all images, or of a particular one (slot ``nth``)."""

    kind: Literal["yes_no"]
    of: Asked
    about: Literal["all", "each"]
    yes: list[Text] = Field(min_length=1)
    no: list[Text] = Field(min_length=1)


class ChoiceQuestion(GroupQuestion):
    """Offers two values, of which one is that of all images, or of a particular one (slot ``nth``)."""

    kind: Literal["either_or"]
    of: Asked
    about: Literal["all", "each"]
    answer: list[Text] = Field(min_length=1)


class WhichQuestion(GroupQuestion):
    """Asks which image has a value, is the odd one, or shows the subject of the relation.

    The answer names it by an ordinal, and no other after it.
    """

    kind: Literal["which"]
    of: Aspect | Literal["odd", "agent"]
    answer: list[Text] = Field(min_length=1)

    @field_validator("answer")
    @classmethod
    def _names_the_image_last(cls, answers: list[str]) -> list[str]:
        for answer in answers:
            after = re.findall(r"\w+", answer.rpartition("{nth}")[2].lower())
            if "{nth}" not in answer or {*after} & {*ORDINALS}:
                raise ValueError(f"{answer!r} must name the image as {{nth}}, and no other ordinal after it")
        return answers


AnyGroupQuestion = Annotated[
    NamingQuestion | ClaimQuestion | ChoiceQuestion | WhichQuestion, Field(discriminator="kind")
]


class DialogueTurn(Document):
    """A turn of an interleaved dialogue: a question by name, and the images that it shows, by number."""

    ask: Identifier
    shows: list[int] = Field(default_factory=list)


class GroupDialogueExample(Document):
    """An in-context example for a chat author: the prompts of a group, a question and an answer."""

    prompts: list[Text] = Field(min_length=2)
    question: Text
    answer: Text


class GroupGuidance(Document):
    """What a chat model is told when it writes this ability's groups of prompts and the dialogues about them."""

    instruction: Text
    cautions: list[Text] = Field(min_length=1)
    keywords: list[Text] = Field(min_length=5, description="Subjects to rotate through for diverse outputs.")
    examples: list[list[Text]] = Field(min_length=3, description="Groups of prompts: ((subject)), keyword, keyword.")
    dialogue_instruction: Text
    dialogue_examples: list[GroupDialogueExample] = Field(min_length=2)

    @field_validator("examples")
    @classmethod
    def _examples_bracket_their_subjects(cls, examples: list[list[str]]) -> list[list[str]]:
        for prompt in (prompt for group in examples for prompt in group):
            if not is_well_formed(prompt):
                raise ValueError(f"example {prompt!r} is not of the form ((subject)), keyword, keyword")
        return examples


class MultiImageAbility(BriefedDocument):
    """An ability about groups of images: everything that its YAML says.

    ``sources`` are the single-image abilities that ``images.abilities`` names; ``load_catalog`` fills them in.
    """

    ability: Identifier
    group: Literal["multi-image"]
    title: Text
    teaches: Text
    negative_prompt: Text
    chat: GroupGuidance
    images: ImageGroups
    prompts: PromptVocabulary
    questions: list[AnyGroupQuestion] = Field(min_length=1)
    dialogues: list[list[DialogueTurn]] = Field(
        default_factory=list,
        description="Interleaved dialogues, of which every group has each; empty: every question is a dialogue.",
    )
    sources: Mapping[str, Ability] = Field(default_factory=dict, exclude=True, repr=False)

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for number, question in enumerate(self.questions):
            for at, wording in enumerate(question.benchmark):
                if wording in question.ask:
                    raise MistakeAtKeyError(
                        ("questions", number, "benchmark", at), f"{wording!r} is also a training question"
                    )
        names = {question.name for question in self.questions}
        for number, turns in enumerate(self.dialogues):
            shown = [image for turn in turns for image in turn.shows]
            if shown != list(range(1, self.images.count + 1)):
                raise MistakeAtKeyError(
                    ("dialogues", number),
                    f"its turns show images {shown}; they must show 1 to {self.images.count}, in order",
                )
            if unknown := sorted({turn.ask for turn in turns} - names):
                raise MistakeAtKeyError(("dialogues", number), f"no question is named {', '.join(unknown)}")
        for number, examples in enumerate(self.chat.examples):
            if len(examples) != self.images.count:
                raise MistakeAtKeyError(
                    ("chat", "examples", number), f"has {len(examples)} prompts; a group has {self.images.count}"
                )
        if self.compares("style") and len(self.prompts.styles) < self.images.count:
            raise MistakeAtKeyError(("prompts", "styles"), f"to compare styles, name {self.images.count} or more")
        return self

    def compares(self, aspect: Aspect) -> bool:
        """Whether some groups compare ``aspect``."""
        return aspect in self.images.compare

    def with_sources(self, abilities: Mapping[str, Ability]) -> MultiImageAbility:
        """The same ability with its sources.

        Raises:
            ValueError: an ability, or a subject of a relation, does not exist.
        """
        for name in self.images.abilities:
            if name not in abilities:
                raise ValueError(f"images.abilities: no single-image ability is named {name!r}")
        found = self.model_copy(update={"sources": {name: abilities[name] for name in self.images.abilities}})
        for relation in self.images.relations:
            for name in (relation.subject, relation.object):
                if name.lower() not in found._source_by_subject:
                    raise ValueError(f"images.relations: no ability of images.abilities has a subject {name!r}")
        return found

    def source_of(self, subject: str) -> Ability:
        """The single-image ability that has a subject of this name, ignoring case.

        Raises:
            KeyError: no source has such a subject.
        """
        try:
            return self._source_by_subject[subject.lower()]
        except KeyError:
            raise KeyError(f"ability {self.ability!r} draws no subject {subject!r}") from None

    def subject_named(self, name: str) -> Subject:
        """The subject of this name, ignoring case.

        Raises:
            KeyError: no source has such a subject.
        """
        return self.source_of(name).subject_named(name)

    @cached_property
    def _source_by_subject(self) -> dict[str, Ability]:
        return {
            subject.name.lower(): source
            for source in reversed([*self.sources.values()])
            for subject in source.drawn_subjects
        }

    def training_texts(self) -> Iterator[str]:
        """The training wordings, in which slots are not filled."""
        yield from self.images.marks
        for question in self.questions:
            yield from question.ask
            for answers in question.answers.values():
                yield from answers


def images_per_dialogue(ability: Ability | MultiImageAbility) -> int:
    """The number of images, and so of prompts, in a group; one if the ability is about single images."""
    return ability.images.count if isinstance(ability, MultiImageAbility) else 1


def ordinals(count: int) -> Sequence[str]:
    """How the images of a group are called, in order."""
    return ORDINALS[:count]


def listed(values: Sequence[str]) -> str:
    """Values, each with its place: a cat first, a dog second."""
    return ", ".join(f"{value} {place}" for value, place in zip(values, ordinals(len(values)), strict=True))


def with_repeats(values: Sequence[str]) -> str:
    """Values, each with its place, or that of the one it repeats: a cat first, a dog second, a cat first."""
    places = ordinals(len(values))
    return ", ".join(f"{value} {places[values.index(value)]}" for value in values)
