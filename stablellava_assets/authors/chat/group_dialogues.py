"""Chat requests for dialogues about groups of images, and their conversion to row columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, Field, create_model

from stablellava_assets.abilities.groups import aspects_that_differ
from stablellava_assets.abilities.multi_image import ASPECT_WORDS, DialogueTurn, MultiImageAbility, ordinals
from stablellava_assets.abilities.prompt_format import prompt_of
from stablellava_assets.abilities.questions import absent_subjects
from stablellava_assets.authors.chat.cleaning import UnusableTextError, clean_words
from stablellava_assets.authors.chat.dialogue_kinds import DialogueKind, DialogueSlot, parts_of
from stablellava_assets.authors.chat.dialogue_requests import (
    ABSENT_THINGS,
    FORMS,
    SYSTEM,
    DialogueRequest,
    Picture,
    RightWords,
    WrittenClosedPair,
    WrittenPair,
    examples_text,
    guidance_text,
    right_option,
)
from stablellava_assets.authors.chat.dialogue_rows import (
    RIGHT_WORDS,
    Conversation,
    cleaned_answer,
    cleaned_question,
)
from stablellava_assets.authors.chat.examples import prompt_lines
from stablellava_assets.authors.settings import ChatAuthorSettings
from stablellava_assets.tables.identity import choose, ranked
from stablellava_assets.tables.pair_rows import PaintedImage, WrittenSpec
from stablellava_assets.text.conversations import EXPECTED_SEPARATOR, IMAGE_MARK, Turn, exchange
from stablellava_assets.text.keywords import find_keyword

_FROM_PROMPTS = (
    "You do not see the pictures. You are given the prompts they were painted from, in the order of the pictures: the "
    "subject in double brackets, then keywords. Take all of it as shown, and nothing else as shown."
)
_FROM_PICTURES = (
    "Other than said above, you see the pictures, in their order, as well as the prompts they were painted from: the "
    "subject in double brackets, then keywords. Where they disagree the picture is right; say only what can be seen."
)
_GROUP_RULES = (
    "- Every question is about the pictures together, so that nobody can answer it who sees only one of them.",
    "- Answers call the pictures by their place: the first, the second. They first say what each of them shows.",
    "- right_words is a list where an answer has to name several things, in the order of the pictures.",
)
_WHICH = (
    "a question that asks which picture it is that shows something, or that does not belong, and offers the places "
    "({places}); the given picture is right, and the answer names no other place: it lists what the pictures show, in "
    'order, and then names the right one, as in "A cat and a dog, so the second."'
)
_KINDS: Mapping[str, str] = {
    "what": (
        "a question with what, which, where, who or how for what this ability teaches, whose right answer names a word "
        "or a short phrase for each picture in question; the question contains none of them"
    ),
    "yes_no_present": FORMS["yes_no_present"],
    "yes_no_absent": FORMS["yes_no_absent"],
    "either_or": FORMS["either_or"],
    "which": _WHICH,
    "misleading": FORMS["misleading"],
}
_NOT_SAID = ("answer", "keyword", "distance", "thing")
"""Facts that follow from others, or are none that a picture shows."""


class WrittenNaming(WrittenPair):
    """A question whose right answer names several things."""

    right_words: list[RightWords] = Field(json_schema_extra={"maxItems": 6})


@dataclass(frozen=True)
class PictureGroup:
    """What is known about the images of a group. ``facts`` are those of each image that the painter did not ignore."""

    key: str
    pictures: tuple[Picture, ...]
    facts: tuple[Mapping[str, str], ...]
    layouts: tuple[tuple[DialogueTurn, ...], ...]
    """The ability's interleaved dialogues."""
    absent: tuple[str, ...]
    """Things that no image shows, if they are known."""

    @property
    def right_option(self) -> str:
        """Which of two options is to be right."""
        return right_option(self.key)

    @property
    def right_picture(self) -> int | None:
        """The index of the image to be asked for; None if all are alike."""
        prompts = [picture.prompt for picture in self.pictures]
        single = [number for number, prompt in enumerate(prompts) if prompts.count(prompt) == 1]
        return choose(single, self.key, "right picture") if single else None

    def parts(self, quotas: Mapping[DialogueKind, float]) -> list[DialogueSlot]:
        """The conversations to write: each interleaved dialogue if the ability has any, or else what the quotas say.

        Every other question with options asks which picture it is.
        """
        if self.layouts:
            return [
                DialogueSlot(f"multi_turn_{number}", "multi_turn", "multi_turn")
                for number in range(1, len(self.layouts) + 1)
            ]
        none: dict[DialogueKind, float] = {"describe": 0, "negative_presupposition": 0, "multi_turn": 0}
        parts = parts_of({**quotas, **none}, self.key)
        if self.right_picture is None:
            return parts
        parity = choose((0, 1), self.key, "which")
        keys = [part.key for part in parts if part.kind == "either_or"]
        which = {key: key.replace("either_or", "which") for key in keys[parity::2]}
        return [DialogueSlot(which[part.key], part.kind, "which") if part.key in which else part for part in parts]


@dataclass(frozen=True)
class GroupDialogueRequest(DialogueRequest[MultiImageAbility, PictureGroup]):
    """A request for some of the conversations about a group of images."""

    def text(self) -> str:
        """The question, without the images."""
        constant = [
            _guidance(self.settings, self.ability),
            _kinds(self.ability),
            examples_text(self.examples),
        ]
        return "\n\n".join([*constant, _about(self.ability, self.shown, tuple(self.parts.values()))])

    def answer_model(self) -> type[BaseModel]:
        """The answer: one key per conversation."""
        return _answer_model(tuple((part, self.questions_of(part)) for part in self.parts.values()))

    def questions_of(self, part: DialogueSlot) -> int:
        """The number of questions in a conversation."""
        return len(_layout(self.shown, part)) if part.kind == "multi_turn" else 1


def group_of(ability: MultiImageAbility, members: Sequence[tuple[WrittenSpec, PaintedImage]]) -> PictureGroup:
    """What a request says about a group of images, in order, from their prompts and ``images`` rows."""
    pictures, facts = [], []
    for spec, image in members:
        ignored = {*image["ignored_keywords"]}
        shown = {fact["name"]: fact["value"] for fact in spec["facts"] if fact["value"] not in ignored}
        prompt = prompt_of(spec["subject"], [keyword for keyword in spec["keywords"] if keyword not in ignored])
        pictures.append(
            Picture(spec["spec_id"], image["image_id"], image["sha256"], prompt, shown.get("answer"), absent=())
        )
        facts.append(shown)
    key = str(members[0][0].get("group_id"))
    layouts = tuple(tuple(turns) for turns in ability.dialogues)
    return PictureGroup(key, tuple(pictures), tuple(facts), layouts, _absent(ability, key, facts))


def group_part_key(
    settings: ChatAuthorSettings, ability: MultiImageAbility, group: PictureGroup, part: DialogueSlot
) -> Mapping[str, object]:
    """The contents of a request that determine one of its conversations, except the examples, for the row's key."""
    return {
        "system": SYSTEM,
        "guidance": _guidance(settings, ability),
        "kind": _KINDS.get(part.form),
        "part": part.key,
        "about": _known(group),
        "detail of it": _detail(ability, group, part),
        "pictures": [picture.sha256 for picture in group.pictures],
        "absent": group.absent,
        "detail": settings.picture_detail if settings.sees_pictures else None,
    }


def group_dialogue_columns(
    ability: MultiImageAbility, pair_id: str, group: PictureGroup, part: DialogueSlot, written: BaseModel
) -> Conversation:
    """The columns of a ``dialogues`` row that hold the conversation and what a right answer contains.

    Raises:
        UnusableTextError: the text is no valid conversation; the message is the row's reason.
    """
    if part.kind == "multi_turn":
        conversations: list[Turn] = []
        for number, turn in enumerate(_layout(group, part), 1):
            one = getattr(written, f"turn_{number}")
            marks = "".join(f"{IMAGE_MARK}\n" for _ in turn.shows)
            conversations += exchange(marks + cleaned_question(one.question), cleaned_answer(one.answer))
        return {"conversations": conversations, "expected": None}
    assert isinstance(written, WrittenPair | WrittenClosedPair | WrittenNaming)
    answer = cleaned_answer(written.answer)
    marks = choose(ability.images.marks, pair_id, "marks")
    question = marks.replace("{question}", cleaned_question(written.question))
    return {"conversations": exchange(question, answer), "expected": _expected(group, part, written, answer)}


def _expected(group: PictureGroup, part: DialogueSlot, written: BaseModel, answer: str) -> str:
    """What a right answer contains.

    Raises:
        UnusableTextError: the given answer does not contain it.
    """
    refused: Sequence[str] = ()
    if isinstance(written, WrittenNaming):
        wanted = [clean_words(words, max_words=RIGHT_WORDS) for words in written.right_words]
    elif isinstance(written, WrittenClosedPair):
        wanted = [clean_words(written.right_words, max_words=RIGHT_WORDS)]
    elif part.form == "which":
        places = ordinals(len(group.pictures))
        wanted = [places[group.right_picture or 0]]
        refused = [place for place in places if place not in wanted]
    else:
        wanted = [str(part.expected_word)]
        refused = [{"yes": "no", "no": "yes"}[wanted[0]]]
    if not wanted:
        raise UnusableTextError("right_words names nothing")
    at = -1
    for words in wanted:
        later = [start for start, _ in find_keyword(words, answer) if start > at]
        if not later:
            order = "" if len(wanted) == 1 else ", in this order"
            raise UnusableTextError(f"the answer does not contain {EXPECTED_SEPARATOR.join(wanted)!r}{order}")
        at = later[0]
    if named := [words for words in refused if find_keyword(words, answer)]:
        raise UnusableTextError(f"the answer contains {named[0]!r} besides {wanted[0]!r}")
    return EXPECTED_SEPARATOR.join(wanted)


def _absent(ability: MultiImageAbility, key: str, facts: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Subjects that none of the images shows, if the embedded painter draws them."""
    try:
        drawn = [(ability.source_of(each["subject"]), ability.subject_named(each["subject"])) for each in facts]
    except KeyError:
        return ()
    options = [{other.answer for other in absent_subjects(source, subject)} for source, subject in drawn]
    shown = {subject.answer for _, subject in drawn}
    same_source = [own for own, (source, _) in zip(options, drawn, strict=True) if source is drawn[0][0]]
    return tuple(ranked(sorted(set.intersection(*same_source) - shown), key, "absent")[:ABSENT_THINGS])


def _guidance(settings: ChatAuthorSettings, ability: MultiImageAbility) -> str:
    source = _FROM_PICTURES if settings.sees_pictures else _FROM_PROMPTS
    return "\n".join([guidance_text(ability, source), *_GROUP_RULES])


def _kinds(ability: MultiImageAbility) -> str:
    places = ", ".join(ordinals(ability.images.count))
    if ability.dialogues:
        kinds = [f"- multi_turn: {FORMS['multi_turn']}; each question is about the pictures shown until then"]
    else:
        kinds = [f"- {form}: {text.replace('{places}', places)}" for form, text in _KINDS.items()]
    return "\n".join(
        ["# Kinds of questions", *kinds, "A number after a kind asks for one more of it, about something else."]
    )


def _known(group: PictureGroup) -> list[str]:
    """The lines about the prompts and what is known to differ in them."""
    lines = prompt_lines([picture.prompt for picture in group.pictures])
    themes = {facts["keyword"] for facts in group.facts if "keyword" in facts}
    differ = aspects_that_differ([_said(facts) for facts in group.facts])
    for name in [name for name in group.facts[0] if name in _said(group.facts[0])]:
        values = [facts.get(name, "") for facts in group.facts]
        if all(values):
            lines.append(
                f"The {ASPECT_WORDS.get(name, name)}: "
                + (", then ".join(values) if name in differ else f"{values[0]} in all of them")
            )
    return [*lines, *(f"Theme: {theme}" for theme in sorted(themes))]


def _said(facts: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in facts.items() if name not in _NOT_SAID}


def _about(ability: MultiImageAbility, group: PictureGroup, parts: Sequence[DialogueSlot]) -> str:
    lines = _known(group)
    if group.absent:
        lines.append(f"Shown in other pictures, to name where something absent is wanted: {', '.join(group.absent)}")
    wanted = [f"{part.key}{_detail(ability, group, part)}" for part in parts]
    asked = f"Write a JSON object with the keys {', '.join(wanted)}."
    return "\n".join([f"# Pictures {group.key[:8]}", *lines, asked])


def _detail(ability: MultiImageAbility, group: PictureGroup, part: DialogueSlot) -> str:
    """The instructions for a slot that are specific to this group."""
    if part.form == "either_or":
        return f" (right option: {group.right_option})"
    if part.form == "which" and group.right_picture is not None:
        return f" (right picture: the {ordinals(len(group.pictures))[group.right_picture]})"
    if part.kind != "multi_turn":
        return ""
    wordings = {question.name: question.ask[0] for question in ability.questions}
    turns = []
    for number, turn in enumerate(_layout(group, part), 1):
        shows = f", which shows picture {' and '.join(map(str, turn.shows))}" if turn.shows else ""
        such_as = re.sub(r"\{\w+\}", "...", wordings[turn.ask])
        turns.append(f'turn_{number}{shows}: such as "{such_as}"')
    return f" ({'; '.join(turns)})"


def _layout(group: PictureGroup, part: DialogueSlot) -> Sequence[DialogueTurn]:
    return group.layouts[int(part.key.rpartition("_")[2]) - 1]


@lru_cache(maxsize=512)
def _answer_model(parts: tuple[tuple[DialogueSlot, int], ...]) -> type[BaseModel]:
    fields: dict[str, Any] = {part.key: (_written(part, turns), ...) for part, turns in parts}
    return create_model("GroupDialogues", **fields)


def _written(part: DialogueSlot, turns: int) -> type[BaseModel]:
    if part.kind == "multi_turn":
        return _conversation_model(turns)
    if part.form == "what":
        return WrittenNaming
    return WrittenClosedPair if part.form in ("either_or", "misleading") else WrittenPair


@lru_cache(maxsize=8)
def _conversation_model(turns: int) -> type[BaseModel]:
    fields: dict[str, Any] = {f"turn_{number}": (WrittenPair, ...) for number in range(1, turns + 1)}
    return create_model("Turns", **fields)
