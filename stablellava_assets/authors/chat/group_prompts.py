"""Chat requests for the prompts of groups of images, and their conversion to row columns.

What the images of a group share is written once, and so is every value of the aspect that they compare. Their prompts
are put together here: exact groups are alike word for word but for one thing, and equal values are the same words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, create_model

from stablellava_assets.abilities.groups import aspects_that_differ
from stablellava_assets.abilities.multi_image import ASPECT_WORDS, MultiImageAbility
from stablellava_assets.abilities.prompt_format import normalized_prompt, prompt_of
from stablellava_assets.authors.chat.cleaning import UnusableTextError, clean_words
from stablellava_assets.authors.chat.group_rotation import GroupSlot
from stablellava_assets.authors.chat.prompt_requests import (
    COMMON_FORM,
    FEWEST_KEYWORDS,
    SYSTEM,
    Phrase,
    PromptRequest,
    WrittenKeywords,
    WrittenPrompt,
    task,
)
from stablellava_assets.authors.chat.prompt_rows import SUBJECT_WORDS, PromptColumns, usable_keywords
from stablellava_assets.authors.settings import ChatAuthorSettings
from stablellava_assets.tables.pair_rows import facts_of
from stablellava_assets.text.keywords import find_keyword, same_keyword

_FORM = (
    "- Every word of a group is plain at a glance, and the pictures of a group can be told apart by it.",
    *COMMON_FORM,
    "- The groups of one answer differ from each other, and from the examples, in surroundings, looks and light.",
)
_GUIDED_FORM = (
    "- Subjects have one to five words, written without brackets, and so have the values.",
    (
        "- Five to eight keywords, of one to four words each: first the surroundings, then what the subject looks "
        "like, then light, and how the picture is made. None of them is, or contradicts, a value."
    ),
)
_DRAWN_FORM = (
    (
        "- Two to four keywords, of one to four words each, about looks and light: none about the place, the position, "
        "the number of things or the style, which are given."
    ),
)
_GUIDED_ANSWER = (
    'Each line below gives the keyword of its group, which is its theme, and what its pictures compare. "value_1" and '
    "so on are the values of what they compare, all of one kind and plainly different. The line says which picture has "
    'which value. Where a group shares its keywords, write "keywords" once, and "subject" once, unless the subjects '
    'are the values. Where its keywords differ, write an object for each picture, "picture_1" and so on, of which '
    "everything but the value differs. If they compare the color, the subject is the thing without its color. The "
    "values are put into the prompts for you. What follows in parentheses is a hint to follow where it fits."
)
_DRAWN_ANSWER = (
    "The begin of each prompt is given. Write only the keywords after it: once, where a group shares its keywords, or "
    'else in an object for each picture, "picture_1" and so on.'
)
_SUBJECT = (Annotated[str, Phrase], ...)


@dataclass(frozen=True)
class GroupPromptRequest(PromptRequest[MultiImageAbility, GroupSlot]):
    """A request for the prompts of some groups of a batch; the ids of the groups stand for those of rows."""

    noun: ClassVar[str] = "group"

    @property
    def prompt_count(self) -> int:
        """The number of prompts in the answer."""
        return len(self.slots) * self.ability.images.count

    def constant(self) -> list[str]:
        """The parts of the request that are the same in all of a batch."""
        examples = "\n\n".join(["# Examples of good groups, a prompt a line", *(one.text for one in self.examples)])
        return [_guidance(self.settings, self.ability), examples, _answer(self.settings)]

    def line(self, slot: GroupSlot, number: int) -> str:
        """What the request says about a group."""
        return f"group_{number}: {_drawn_line(slot) if slot.prompts else _guided_line(slot)}"

    def answer_model(self) -> type[BaseModel]:
        """The answer: one key per group."""
        return _answer_model(tuple(_shape(slot) for slot in self.slots.values()))


def group_guidance_key(settings: ChatAuthorSettings, ability: MultiImageAbility) -> Mapping[str, object]:
    """The contents of a request that determine its prompts, except slots and examples, for the row's key."""
    return {"system": SYSTEM, "guidance": _guidance(settings, ability), "answer": _answer(settings)}


def _guidance(settings: ChatAuthorSettings, ability: MultiImageAbility) -> str:
    drawn = settings.subjects == "drawn"
    looks = ability.prompts.details if drawn else []
    rules = [*(_DRAWN_FORM if drawn else _GUIDED_FORM), *_FORM]
    return "\n".join(
        [
            *task(ability),
            *rules,
            *([f"- The painter knows these looks, and no others: {', '.join(looks)}."] if looks else []),
        ]
    )


def _answer(settings: ChatAuthorSettings) -> str:
    what = _DRAWN_ANSWER if settings.subjects == "drawn" else _GUIDED_ANSWER
    return f'# Answer\nOne JSON object with a key for each line below, "group_1" and so on. {what}'


def group_columns(slot: GroupSlot, written: BaseModel) -> list[PromptColumns]:
    """The columns of the ``prompt_specs`` rows of a group.

    Raises:
        UnusableTextError: the texts give no valid group; the message is the reason of all of its rows.
    """
    given = list(_drawn(slot) if slot.prompts else _valued(slot, written))
    if slot.exact:
        keywords = _shared_keywords(slot, given, written)
    else:
        keywords = [
            usable_keywords(one.subject, one.keywords, _without(given, one, _part(written, number).keywords))
            for number, one in enumerate(given, 1)
        ]
    for one, own in zip(given, keywords, strict=True):
        if len(own) - len(one.keywords) < FEWEST_KEYWORDS - bool(slot.prompts):
            raise UnusableTextError(f"too few of the keywords about {one.subject!r} can be used")
    prompts = [prompt_of(one.subject, own) for one, own in zip(given, keywords, strict=True)]
    if not slot.exact and len({normalized_prompt(prompt) for prompt in prompts}) < len(prompts):
        raise UnusableTextError("two prompts of the group are the same")
    return [
        {
            "prompt": prompt,
            "subject": one.subject,
            "keywords": own,
            "facts": [{"name": name, "value": value} for name, value in one.facts.items()],
        }
        for prompt, one, own in zip(prompts, given, keywords, strict=True)
    ]


def unwritten_group_columns(slot: GroupSlot) -> list[PromptColumns]:
    """The same columns of rows without prompts."""
    images = slot.prompts or slot.value_numbers
    theme = slot.theme or slot.prompts[0]["subject"]
    return [
        {"prompt": None, "subject": None, "keywords": [], "facts": [{"name": "keyword", "value": theme}]}
        for _ in images
    ]


@dataclass(frozen=True)
class _Given:
    """The content of a prompt before the keywords that the model adds."""

    subject: str
    keywords: list[str]
    facts: Mapping[str, str]


def _drawn(slot: GroupSlot) -> Iterator[_Given]:
    for prompt in slot.prompts:
        facts = facts_of(prompt)
        yield _Given(prompt["subject"], prompt["keywords"], facts)


def _valued(slot: GroupSlot, written: BaseModel) -> Iterator[_Given]:
    values = [
        clean_words(getattr(written, f"value_{number + 1}"), max_words=SUBJECT_WORDS)
        for number in range(max(slot.value_numbers) + 1)
    ]
    for one, other in combinations(values, 2):
        if same_keyword(one, other):
            raise UnusableTextError(
                f"the {ASPECT_WORDS[slot.compared]} was to differ, and is {one!r} as well as {other!r}"
            )
    named: list[str] = []
    for number, place in enumerate(slot.value_numbers, 1):
        value = values[place]
        facts, keywords = {"subject": value}, list[str]()
        if slot.compared != "subject":
            subject = clean_words(_part(written, None if slot.exact else number).subject, max_words=SUBJECT_WORDS)
            if not slot.exact and any(same_keyword(subject, other) for other in named):
                raise UnusableTextError(f"two pictures of the group have the same subject {subject!r}")
            named.append(subject)
            if slot.compared == "color":
                facts = {"subject": f"{value} {subject}", "color": value, "thing": subject}
            else:
                facts, keywords = {"subject": subject, slot.compared: value}, [value]
        yield _Given(facts["subject"], keywords, {**facts, "keyword": slot.theme})


def _part(written: BaseModel, number: int | None) -> Any:
    """What was written about an image, or about all of them."""
    return written if number is None else getattr(written, f"picture_{number}")


def _without(given: Sequence[_Given], own: _Given | None, keywords: Sequence[str]) -> list[str]:
    """The keywords that name nothing by which the (other) images of a group are told apart."""
    differ = aspects_that_differ([one.facts for one in given])
    told = {one.facts[name] for one in given for name in differ if name in one.facts}
    told -= {*own.facts.values()} if own else set()
    parts = [part for phrase in keywords for part in phrase.split(",")]
    return [part for part in parts if not any(find_keyword(value, part) for value in told)]


def _shared_keywords(slot: GroupSlot, given: Sequence[_Given], written: BaseModel) -> list[list[str]]:
    """The keywords of an exact group, of which as many fit as beside the longest subject and values."""
    longest = max(given, key=lambda one: len(prompt_of(one.subject, one.keywords)))
    texts = _without(given, None, _part(written, None).keywords)
    known = {keyword.casefold() for one in given for keyword in one.keywords}
    shared = [
        keyword
        for keyword in usable_keywords(longest.subject, longest.keywords, texts)[len(longest.keywords) :]
        if keyword.casefold() not in known
    ]
    return [[*one.keywords, *shared] for one in given]


def _guided_line(slot: GroupSlot) -> str:
    compared = f"compare the {ASPECT_WORDS[slot.compared]}"
    if slot.values in ("related", "unrelated"):
        compared += f", two that are {slot.values}"
    images = "; ".join(
        f"value_{value + 1}: {_images([n for n, own in enumerate(slot.value_numbers, 1) if own == value])}"
        for value in range(max(slot.value_numbers) + 1)
    )
    shared = "shared keywords" if slot.exact else "different keywords"
    return f"{slot.theme}; {compared}; {images}; {shared} ({slot.hint})"


def _drawn_line(slot: GroupSlot) -> str:
    begins = [f"picture {number}: {prompt['prompt']}" for number, prompt in enumerate(slot.prompts, 1)]
    return "; ".join([*begins, "shared keywords" if slot.exact else "different keywords"])


def _images(numbers: Sequence[int]) -> str:
    return f"picture{'s' * (len(numbers) > 1)} {' and '.join(map(str, numbers))}"


@dataclass(frozen=True)
class _Shape:
    """The keys of the answer for a group."""

    values: int
    images: int
    shared: bool
    names_subjects: bool


def _shape(slot: GroupSlot) -> _Shape:
    if slot.prompts:
        return _Shape(0, len(slot.prompts), slot.exact, names_subjects=False)
    return _Shape(max(slot.value_numbers) + 1, len(slot.value_numbers), slot.exact, slot.compared != "subject")


@lru_cache(maxsize=128)
def _answer_model(shapes: tuple[_Shape, ...]) -> type[BaseModel]:
    fields: dict[str, Any] = {f"group_{number}": (_group_model(shape), ...) for number, shape in enumerate(shapes, 1)}
    return create_model("Groups", **fields)


@lru_cache(maxsize=32)
def _group_model(shape: _Shape) -> type[BaseModel]:
    values: dict[str, Any] = {f"value_{number}": _SUBJECT for number in range(1, shape.values + 1)}
    one = WrittenPrompt if shape.names_subjects else WrittenKeywords
    if shape.shared:
        return create_model("SharedGroup", __base__=one, **values)
    images: dict[str, Any] = {f"picture_{number}": (one, ...) for number in range(1, shape.images + 1)}
    return create_model("Group", **values, **images)
