"""Chat requests for dialogues: all conversations about one image in one request."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, Generic, Protocol, Self, TypeVar

from pydantic import BaseModel, Field, create_model

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.catalog import AnyAbility
from stablellava_assets.abilities.prompt_format import prompt_of
from stablellava_assets.abilities.questions import absent_subjects
from stablellava_assets.authors.chat.briefing import briefing
from stablellava_assets.authors.chat.dialogue_kinds import (
    NAMES_ABSENT_THINGS,
    DialogueKind,
    DialogueSlot,
    forms_of,
    parts_of,
)
from stablellava_assets.authors.chat.examples import Example
from stablellava_assets.authors.settings import ChatAuthorSettings
from stablellava_assets.endpoint.picture_parts import picture_part
from stablellava_assets.endpoint.requests import ChatRequest, chat_request
from stablellava_assets.tables.identity import choose, ranked
from stablellava_assets.tables.pair_rows import PaintedImage, WrittenSpec, facts_of

STAGE = "dialogues"
MOST_QUESTION_CHARACTERS, MOST_ANSWER_CHARACTERS = 240, 700
_ENVELOPE_TOKENS = 64
_LIKELY_TOKENS = 60
ABSENT_THINGS = 4

SYSTEM = (
    "You write questions and answers about pictures, from which a vision-language model learns to see. Whoever learns "
    "from them has the picture and nothing else, so every answer must be plain from the picture, and no text speaks "
    "of a prompt, of keywords or of how the picture came about. You follow the rules of the task to the letter and "
    "answer with JSON alone."
)
_FROM_PROMPT = (
    "You do not see the picture. You are given the prompt it was painted from: the subject in double brackets, then "
    "keywords. Take all of it as shown, and nothing else as shown."
)
_FROM_PICTURE = (
    "Other than said above, you see the picture as well as the prompt it was painted from: the subject in double "
    "brackets, then keywords. Where the two disagree the picture is right; say only what can be seen in it."
)
RULES = (
    (
        "- Answers are whole sentences, one or two, that end with a full stop. They state what is seen; no word of "
        "guessing such as may, might, probably or likely."
    ),
    (
        "- Questions are such as people ask who look at a picture. Word them differently from picture to picture, and "
        "never give the answer away in a question, unless it is to be confirmed or chosen."
    ),
    (
        "- Keywords about quality or technique (8k, realistic, highly detailed, sharp focus) are no content: do not "
        "mention them."
    ),
    "- What an answer judges it first shows: first what there is, then yes or no.",
    (
        "- right_words: the one word or short phrase that every right answer to the question contains, in the form in "
        "which the answer says it."
    ),
)
_BRIEFED = (
    "Where the picture is about one of these, ask for what is told apart here: the thing it was taken for is the wrong "
    "option, or what is absent."
)
FORMS: Mapping[str, str] = {
    "describe": "answer the given request, with the subject by name",
    "what": (
        "a question with what, which, where, who or how for what this ability teaches, whose right answer is a word or "
        "a short phrase; the question does not contain it"
    ),
    "yes_no_present": (
        "a question to be answered with yes, about what the picture shows; the answer contains the word yes, "
        'as in "It is a koala, so yes."'
    ),
    "yes_no_absent": (
        "a question to be answered with no: it asks whether something is there, or so, that is not, but might "
        'well be in such a picture; the answer contains the word no, as in "It is a koala, so no."'
    ),
    "either_or": (
        "a question that offers two options of the same kind, one of them right, in the order that is asked for"
    ),
    "misleading": (
        "a question that offers two options of the same kind, both wrong; the answer rejects both and says what is "
        "right"
    ),
    "negative_presupposition": (
        'a question that takes for granted something that is not in the picture, as in "What is the dog holding?" '
        'where there is no dog; the answer contains the word no and corrects it, as in "There is no dog; the picture '
        'shows a koala."'
    ),
    "multi_turn": (
        "a conversation in which each question follows from the answer before it; the first answer names the "
        "subject, and every answer is about something else"
    ),
}


# These bounds are part of the schema but not validated: on endpoints that enforce the schema, they
# keep small models from rambling.
Question = Annotated[str, Field(json_schema_extra={"maxLength": MOST_QUESTION_CHARACTERS})]
Answer = Annotated[str, Field(json_schema_extra={"maxLength": MOST_ANSWER_CHARACTERS})]
RightWords = Annotated[str, Field(json_schema_extra={"maxLength": 60})]


class WrittenAnswer(BaseModel):
    """An answer to a given request."""

    answer: Answer


class WrittenPair(BaseModel):
    """A question and its answer."""

    question: Question
    answer: Answer


class WrittenClosedPair(BaseModel):
    """A question with one right answer."""

    question: Question
    answer: Answer
    right_words: RightWords


class WrittenTurns(BaseModel):
    """A conversation."""

    turns: list[WrittenPair] = Field(description="The questions with their answers, in order.")


_WRITTEN: Mapping[str, type[BaseModel]] = {
    "describe": WrittenAnswer,
    "what": WrittenClosedPair,
    "yes_no_present": WrittenPair,
    "yes_no_absent": WrittenPair,
    "either_or": WrittenClosedPair,
    "misleading": WrittenClosedPair,
    "negative_presupposition": WrittenPair,
    "multi_turn": WrittenTurns,
}
_DESCRIBE = (
    "What do you see in this picture?",
    "What does this picture show?",
    "Describe the picture in a sentence or two.",
    "Give a short description of this picture.",
    "Tell me briefly what this picture shows.",
    "What is this a picture of?",
    "Say in a few words what can be seen here.",
    "Summarize this picture.",
    "Can you describe this image?",
    "What is the main thing in this image?",
    "Write a caption for this picture.",
    "Look at this image and tell me what it shows.",
)


@dataclass(frozen=True)
class Picture:
    """What is known about an image: its prompt without the parts that the painter ignored,
    and its ``answer`` if certain."""

    spec_id: str
    image_id: str
    sha256: str
    prompt: str
    answer: str | None
    absent: tuple[str, ...]
    """Things that it does not show: the subjects of other images of the ability."""

    @property
    def key(self) -> str:
        """The id by which its dialogues are told from those about other images."""
        return self.spec_id

    @property
    def pictures(self) -> Sequence[Picture]:
        """This image: a dialogue may be about several."""
        return [self]

    def parts(self, quotas: Mapping[DialogueKind, float]) -> list[DialogueSlot]:
        """The conversations to write."""
        return parts_of(quotas, self.spec_id)

    @property
    def right_option(self) -> str:
        """Which of two options is to be right. Left to itself, a model nearly always puts the right one first."""
        return right_option(self.spec_id)

    @property
    def describe_question(self) -> str:
        """The open request about the image, in one of a fixed set of wordings."""
        return choose(_DESCRIBE, self.spec_id, "describe")


AbilityT = TypeVar("AbilityT", bound=AnyAbility)
ShownT = TypeVar("ShownT", bound="Shown")


class Shown(Protocol):
    """What a dialogue is about: one image or several."""

    @property
    def key(self) -> str:
        """The id by which its dialogues are told from those about other images."""
        ...

    @property
    def pictures(self) -> Sequence[Picture]:
        """The images, in order."""
        ...

    def parts(self, quotas: Mapping[DialogueKind, float]) -> list[DialogueSlot]:
        """The conversations to write."""
        ...


@dataclass(frozen=True)
class DialogueRequest(Generic[AbilityT, ShownT]):
    """A request for some of the conversations about one image, or about a group of images."""

    settings: ChatAuthorSettings
    ability: AbilityT
    shown: ShownT
    parts: Mapping[str, DialogueSlot]
    """The slots by row id."""
    examples: tuple[Example, ...]
    encoded: Callable[[str], tuple[bytes, str]]
    """Returns the bytes and file name of an image by its id. Called if the model is to see the images."""
    failed_before: Container[str] = frozenset()

    def text(self) -> str:
        """The question, without images."""
        raise NotImplementedError

    def answer_model(self) -> type[BaseModel]:
        """The answer, which has a key for each part."""
        raise NotImplementedError

    def questions_of(self, part: DialogueSlot) -> int:
        """The number of questions in a conversation."""
        raise NotImplementedError

    @property
    def row_ids(self) -> Sequence[str]:
        """The ids of the rows."""
        return list(self.parts)

    @property
    def likely_completion_tokens(self) -> int:
        """An estimate of the length of the answer."""
        return _LIKELY_TOKENS * self._questions

    def only(self, row_ids: Sequence[str]) -> Self:
        """The request for some of the conversations."""
        return replace(self, parts={row_id: self.parts[row_id] for row_id in row_ids})

    def written(self, answer: BaseModel, row_id: str) -> BaseModel:
        """The part of an answer that belongs to a row."""
        written: BaseModel = getattr(answer, self.parts[row_id].key)
        return written

    def chat_request(self) -> ChatRequest:
        """The request to send. Created lazily, since it may hold the image."""
        text = self.text()
        content: str | list[dict[str, object]] = text
        if self.settings.sees_pictures:
            content = [{"type": "text", "text": text}]
            for picture in self.shown.pictures:
                encoded, name = self.encoded(picture.image_id)
                media_type = mimetypes.guess_type(name)[0] or "image/png"
                content.append(picture_part(encoded, media_type, self.settings.picture_detail))
        return chat_request(
            self.settings.endpoint,
            stage=STAGE,
            messages=[{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}],
            answer=self.answer_model(),
            max_output_tokens=_ENVELOPE_TOKENS + self.settings.tokens_per_answer * self._questions,
            limit_setting="author.tokens_per_answer",
        )

    @property
    def _questions(self) -> int:
        return sum(map(self.questions_of, self.parts.values()))


@dataclass(frozen=True)
class PictureDialogueRequest(DialogueRequest[Ability, Picture]):
    """A request for some of the conversations about one image."""

    def text(self) -> str:
        """The question, without the image."""
        constant = [
            guidance(self.settings, self.ability),
            _kinds(self.settings, self.ability),
            examples_text(self.examples),
        ]
        return "\n\n".join([*constant, _about(self.shown, tuple(self.parts.values()))])

    def answer_model(self) -> type[BaseModel]:
        """The answer: one key per conversation."""
        return _answer_model(tuple(self.parts.values()))

    def questions_of(self, part: DialogueSlot) -> int:
        """The number of questions in a conversation."""
        return self.settings.turns if part.kind == "multi_turn" else 1


def right_option(key: str) -> str:
    """Which of two options is to be right in questions about an image or a group."""
    return choose(("first", "second"), key, "right option")


def picture_of(ability: Ability, spec: WrittenSpec, image: PaintedImage) -> Picture:
    """What a request says about an image, from its prompt and its ``images`` row."""
    ignored = set(image["ignored_keywords"])
    shown = [keyword for keyword in spec["keywords"] if keyword not in ignored]
    facts = facts_of(spec)
    return Picture(
        spec_id=spec["spec_id"],
        image_id=image["image_id"],
        sha256=image["sha256"],
        prompt=prompt_of(spec["subject"], shown),
        answer=facts.get("answer"),
        absent=_absent(ability, spec["spec_id"], facts),
    )


def guidance(settings: ChatAuthorSettings, ability: Ability) -> str:
    """What the request says about the ability and the form of a dialogue: everything except
    kinds, examples and the image."""
    source = _FROM_PICTURE if settings.sees_pictures else _FROM_PROMPT
    return "\n".join([guidance_text(ability, source), *briefing(ability, _BRIEFED)])


def guidance_text(ability: AnyAbility, source: str) -> str:
    """The task and the rules; ``source`` says what the model is given of an image."""
    task = [
        f"# Task: {ability.title}",
        f"What the pictures teach: {ability.teaches}",
        ability.chat.dialogue_instruction,
    ]
    return "\n".join([*task, source, "", "# Rules", *RULES])


def part_key(
    settings: ChatAuthorSettings, ability: Ability, picture: Picture, part: DialogueSlot
) -> Mapping[str, object]:
    """The contents of a request that determine one of its conversations, except the examples, for the row's key."""
    return {
        "system": SYSTEM,
        "guidance": guidance(settings, ability),
        "form": _form(settings, part.form),
        "part": part.key,
        "prompt": picture.prompt,
        "answer": picture.answer,
        "picture": picture.sha256,
        "detail of it": _detail(picture, part),
        "absent": picture.absent if part.form in NAMES_ABSENT_THINGS else None,
        "detail": settings.picture_detail if settings.sees_pictures else None,
    }


def _absent(ability: Ability, spec_id: str, facts: Mapping[str, str]) -> tuple[str, ...]:
    """The subjects of other images of the ability: drawn subjects if this is one, else the keywords of its prompts."""
    shown = facts.get("keyword")
    options = [keyword for keyword in ability.chat.keywords if keyword != shown]
    if "answer" in facts:
        with suppress(KeyError):  # It was drawn when the prompt was written.
            options = [other.answer for other in absent_subjects(ability, ability.subject_named(facts["subject"]))]
    confused = ability.brief.confused.get(facts.get("answer", ""), {})
    # Stable: what it is taken for comes first, all else as before.
    options = sorted(ranked(options, spec_id, "absent"), key=lambda option: option not in confused)
    return tuple(options[:ABSENT_THINGS])


def _kinds(settings: ChatAuthorSettings, ability: Ability) -> str:
    forms = forms_of(settings.quotas_of(ability.ability))
    kinds = [f"- {_form(settings, form)}" for form in forms]
    return "\n".join(
        ["# Kinds of questions", *kinds, "A number after a kind asks for one more of it, about something else."]
    )


def _form(settings: ChatAuthorSettings, form: str) -> str:
    turns = f" of {settings.turns} questions" if form == "multi_turn" else ""
    return f"{form}{turns}: {FORMS[form]}"


def examples_text(examples: Sequence[Example]) -> str:
    """The in-context examples."""
    return "\n\n".join(["# Examples of good answers", *(example.text for example in examples)])


def _about(picture: Picture, parts: Sequence[DialogueSlot]) -> str:
    lines = [f"Prompt: {picture.prompt}"]
    if picture.answer is not None:
        lines.append(f"What the ability asks for is here: {picture.answer}")
    if any(part.form in NAMES_ABSENT_THINGS for part in parts):
        lines.append(
            f"Shown in other pictures, to name where something absent or wrong is wanted: {', '.join(picture.absent)}"
        )
    wanted = [f"{part.key}{_detail(picture, part)}" for part in parts]
    asked = f"Write a JSON object with the keys {', '.join(wanted)}."
    # The id distinguishes the requests about two images of one prompt.
    return "\n".join([f"# Picture {picture.spec_id[:8]}", *lines, asked])


def _detail(picture: Picture, part: DialogueSlot) -> str:
    """The instructions for a slot that are specific to this image."""
    if part.kind == "describe":
        return f' (request: "{picture.describe_question}")'
    return f" (right option: {picture.right_option})" if part.kind == "either_or" else ""


@lru_cache(maxsize=512)
def _answer_model(parts: tuple[DialogueSlot, ...]) -> type[BaseModel]:
    # One key per conversation: a model cannot omit the required keys of an object.
    fields: dict[str, Any] = {part.key: (_WRITTEN[part.form], ...) for part in parts}
    return create_model("Dialogues", **fields)
