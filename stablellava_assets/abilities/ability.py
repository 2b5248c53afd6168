"""An ability about single images: everything that its YAML file says.

A file holds the guidance for a chat model that writes prompts and dialogues, the subjects that the embedded author and
painter know, and the wordings of questions for training and for the benchmark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from string import Formatter
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from stablellava_assets.abilities.brief import BriefedDocument
from stablellava_assets.abilities.prompt_format import is_well_formed
from stablellava_assets.inputs.yaml_documents import Document, KeyPath, MistakeAtKeyError

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
HexColor = Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")]
QuestionKind = Literal["what", "yes_no", "either_or"]
QUESTION_KINDS: tuple[QuestionKind, ...] = ("what", "yes_no", "either_or")


class Layer(Document):
    """One sprite of a drawing. Offsets and scale are fractions of the subject's box (1 = its full side)."""

    sprites: list[Text] = Field(min_length=1, description="Emoji; the image's seed chooses one of them.")
    scale: float = Field(1.0, gt=0, le=3)
    dx: float = Field(0.0, ge=-1.5, le=1.5)
    dy: float = Field(0.0, ge=-1.5, le=1.5)
    turn: float = Field(0.0, ge=-180, le=180, description="Degrees, counter-clockwise.")
    tint: HexColor | None = Field(None, description="Color of the sprite; its shading is kept.")
    skin_tones: bool = Field(False, description="Also use the sprite's skin tone variants.")


class Backdrop(Document):
    """A scene behind everything: sky above a horizon, ground below it, and props standing on the ground."""

    sky: tuple[HexColor, HexColor]
    ground: tuple[HexColor, HexColor]
    horizon: float = Field(
        0.62, gt=0.05, lt=1, description="Height of the horizon, from the top (0) to the bottom (1)."
    )
    props: list[Text] = Field(default_factory=list, description="Emoji that stand on the ground.")
    sky_props: list[Text] = Field(default_factory=list, description="Emoji in the sky.")


class Subject(Document):
    """Something the prompts put in double brackets. Exactly one of ``sprites``, ``paint``, ``backdrop``, ``effect``."""

    name: Text = Field(description="The phrase in the prompt, by which the painter finds the sprites.")
    label: Text | None = Field(None, description="The word that an answer must contain. Unset: the name.")
    article: Literal["a", "an", "", "some", "the"] | None = Field(
        None, description="Article. Unset: a or an, by the first letter."
    )
    accepted: list[Text] = Field(default_factory=list, description="Further keywords that count as right.")
    details: dict[Identifier, Text] = Field(default_factory=dict, description="Extra slots for the templates.")
    scene: Text | None = Field(None, description="The only scene for this subject.")
    sprites: list[Text] | None = None
    skin_tones: bool = Field(False, description="With sprites: also use their skin tone variants.")
    paint: list[Layer] | None = None
    backdrop: Backdrop | None = None
    effect: Text | None = Field(None, description="A drawing style that the embedded painter implements.")

    @model_validator(mode="after")
    def _is_drawn_in_one_way(self) -> Self:
        given = [key for key in ("sprites", "paint", "backdrop", "effect") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(
                f"subject {self.name!r} needs exactly one of sprites, paint, backdrop, effect; it has {given}"
            )
        return self

    @property
    def answer(self) -> str:
        """The word or phrase that names this subject in an answer."""
        return self.label or self.name

    @property
    def layers(self) -> list[Layer]:
        """The sprites of this subject; empty for a scene or a style."""
        if self.sprites is not None:
            return [Layer(sprites=self.sprites, skin_tones=self.skin_tones)]
        return self.paint or []

    def with_article(self) -> str:
        """The answer with its article, as in ``an owl``."""
        article = self.article
        if article is None:
            article = "an" if self.answer[0].lower() in "aeiou" else "a"
        return f"{article} {self.answer}".strip()


class Tinted(Document):
    """Subjects made of every label with every thing, as in ``red`` x ``umbrella``; the label is what is asked."""

    labels: dict[Text, HexColor] = Field(min_length=2)
    things: dict[Text, list[Text]] = Field(min_length=1, description="Thing -> its sprites.")

    def subjects(self) -> list[Subject]:
        """One subject per label and thing, named ``label thing``; the template slot ``{thing}`` holds the thing."""
        return [
            Subject(
                name=f"{label} {thing}",
                label=label,
                article="",
                details={"thing": thing},
                paint=[Layer(sprites=sprites, tint=color)],
            )
            for label, color in self.labels.items()
            for thing, sprites in self.things.items()
        ]


class PromptVocabulary(Document):
    """What the embedded author may put after the subject. Content: what a picture of a style or scene shows."""

    scenes: list[Text] = Field(default_factory=list)
    styles: list[Text] = Field(default_factory=list)
    details: list[Text] = Field(default_factory=list)
    contents: list[Text] = Field(default_factory=list)


class ClosedQuestion(Document):
    """A question with one right answer. Slots: see :data:`SLOTS`."""

    ask: list[Text] = Field(min_length=1)
    answer: list[Text] = Field(min_length=1)


class YesNoQuestion(Document):
    """Asked once about what is there and once about what is not."""

    ask: list[Text] = Field(min_length=1)
    yes: list[Text] = Field(min_length=1)
    no: list[Text] = Field(min_length=1)


class Questions(Document):
    """The training questions of an ability, a kind each."""

    what: ClosedQuestion
    yes_no: YesNoQuestion
    either_or: ClosedQuestion


class BenchmarkQuestions(Document):
    """The benchmark's own wordings, which training never uses."""

    what: list[Text] = Field(min_length=1)
    yes_no: list[Text] = Field(min_length=1)
    either_or: list[Text] = Field(min_length=1)


class DialogueExample(Document):
    """An in-context example for the chat author's second stage."""

    prompt: Text
    question: Text
    answer: Text


class ChatGuidance(Document):
    """What a chat model is told when it writes this ability's prompts and dialogues."""

    instruction: Text
    cautions: list[Text] = Field(min_length=1)
    keywords: list[Text] = Field(min_length=5, description="Subjects to rotate through for diverse outputs.")
    examples: list[Text] = Field(min_length=5, description="Prompts in the form ((subject)), keyword, keyword.")
    dialogue_instruction: Text
    dialogue_examples: list[DialogueExample] = Field(min_length=2)

    @field_validator("examples")
    @classmethod
    def _examples_bracket_their_subject(cls, examples: list[str]) -> list[str]:
        for example in examples:
            if not is_well_formed(example):
                raise ValueError(f"example {example!r} is not of the form ((subject)), keyword, keyword")
        return examples


class Ability(BriefedDocument):
    """One ability: everything that its YAML says."""

    ability: Identifier
    group: Literal["physical attributes", "life", "man-made", "human society", "others"]
    title: Text
    teaches: Text
    negative_prompt: Text
    chat: ChatGuidance
    prompts: PromptVocabulary
    subjects: list[Subject] = Field(default_factory=list)
    tinted: Tinted | None = None
    questions: Questions
    benchmark: BenchmarkQuestions
    presupposes: Text | None = Field(
        None,
        description=(
            "What the what-questions take for granted, such as animal; it may have slots of the subjects' details. "
            "Unset: nothing that a picture could lack."
        ),
    )
    never_shows: dict[Identifier, list[Text]] = Field(
        default_factory=dict,
        description=(
            "Ability -> scenes: no picture of this ability shows what that one's what-questions take for granted, "
            "except in these scenes."
        ),
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if bool(self.subjects) == bool(self.tinted):
            raise ValueError("give either subjects or tinted")
        names = [subject.name.lower() for subject in self.drawn_subjects]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"subjects named twice: {', '.join(repeated)}")
        if len(self.answers) < 2:
            raise ValueError("at least two subjects with different answers are needed to ask about what is absent")
        for key, kind, template in self._templates():
            self._check_slots(key, kind, template)
        try:
            for subject in self.drawn_subjects:
                self.presupposed_of(subject)
        except (KeyError, IndexError, ValueError) as error:
            raise MistakeAtKeyError(("presupposes",), f"template {self.presupposes!r}: {error}") from error
        trained = {ask for kind in QUESTION_KINDS for ask in getattr(self.questions, kind).ask}
        for kind in QUESTION_KINDS:
            for number, wording in enumerate(getattr(self.benchmark, kind)):
                if wording in trained:
                    raise MistakeAtKeyError(("benchmark", kind, number), f"{wording!r} is also a training question")
        return self

    @cached_property
    def drawn_subjects(self) -> list[Subject]:
        """All subjects, including those generated by ``tinted``."""
        return self.tinted.subjects() if self.tinted else self.subjects

    @cached_property
    def answers(self) -> list[str]:
        """The distinct answers, in the order of the file."""
        return list(dict.fromkeys(subject.answer for subject in self.drawn_subjects))

    @cached_property
    def subjects_for_any_scene(self) -> list[str]:
        """The names of one subject per answer, without scenes, styles, and subjects that have a scene of their own."""
        free = {one.answer: one.name for one in reversed(self.drawn_subjects) if one.layers and not one.scene}
        return [free[answer] for answer in self.answers if answer in free]

    def subject_named(self, name: str) -> Subject:
        """The subject with this name, ignoring case.

        Raises:
            KeyError: the ability has no such subject.
        """
        try:
            return self._by_name[name.lower()]
        except KeyError:
            raise KeyError(f"ability {self.ability!r} has no subject {name!r}") from None

    def presupposed_of(self, subject: Subject) -> str | None:
        """What a what-question about ``subject`` takes for granted, such as ``umbrella``; None if nothing."""
        return None if self.presupposes is None else self.presupposes.format(**subject.details)

    @cached_property
    def _by_name(self) -> dict[str, Subject]:
        return {subject.name.lower(): subject for subject in self.drawn_subjects}

    def _templates(self) -> Iterator[tuple[KeyPath, QuestionKind, str]]:
        for kind in QUESTION_KINDS:
            for part, texts in getattr(self.questions, kind):
                for number, text in enumerate(texts):
                    yield ("questions", kind, part, number), kind, text
            for number, text in enumerate(getattr(self.benchmark, kind)):
                yield ("benchmark", kind, number), kind, text

    def _check_slots(self, key: KeyPath, kind: QuestionKind, template: str) -> None:
        known = set(SLOTS[kind])
        known |= set.intersection(*(set(subject.details) for subject in self.drawn_subjects))
        try:
            used = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
        except ValueError as error:
            raise MistakeAtKeyError(key, f"template {template!r}: {error}") from error
        if unknown := sorted(used - known):
            raise MistakeAtKeyError(
                key, f"template {template!r} uses {unknown}; a {kind} template knows {sorted(known)}"
            )


SLOTS: Mapping[str, tuple[str, ...]] = {
    "what": ("subject", "a_subject"),
    "yes_no": ("subject", "a_subject", "candidate", "a_candidate"),
    "either_or": ("subject", "a_subject", "first", "a_first", "second", "a_second"),
}
"""Template slots by question kind, besides a subject's own ``details``. ``a_`` forms include the article."""
