"""Chat requests for prompts. All requests of a batch have the same prefix, which endpoints can cache."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, Field, create_model

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.catalog import AnyAbility
from stablellava_assets.abilities.placements import DISTANCES, POSITIONS
from stablellava_assets.authors.chat.briefing import briefing
from stablellava_assets.authors.chat.examples import Example
from stablellava_assets.authors.chat.group_rotation import GroupSlot
from stablellava_assets.authors.chat.rotation import Slot
from stablellava_assets.authors.settings import ChatAuthorSettings
from stablellava_assets.endpoint.requests import ChatRequest, chat_request

STAGE = "prompt_specs"
FEWEST_KEYWORDS, MOST_KEYWORDS = 2, 12
_ENVELOPE_TOKENS = 64
_LIKELY_TOKENS = 45

SYSTEM = (
    "You write prompts for a text-to-image model. Every prompt becomes one picture, and the pictures teach a "
    "vision-language model to recognize what their prompts name. So what you write must be visible, beyond doubt, and "
    "true of the finished picture. You follow the rules of the task to the letter and answer with JSON alone."
)
COMMON_FORM = (
    "- The most telling keywords come first. The painter reads about fifty words and forgets the rest.",
    (
        "- Only what a camera records in an instant: no sound, smell, thought or past, and nothing that has to be "
        "counted beyond three."
    ),
    "- No lettering in the picture, no brands, and no real people or living artists by name.",
    (
        "- Plain words of letters, digits and hyphens. No brackets, quotation marks, weights, line breaks or whole "
        "sentences."
    ),
    "- No keyword contradicts another, repeats the subject, or brings in a second thing that could be taken for it.",
)
_FORM = (
    *COMMON_FORM,
    "- The prompts of one answer differ from each other, and from the examples, in surroundings, looks and light.",
)
_GUIDED_FORM = (
    "- The subject is what stands in double brackets in a prompt: one to five words, written without the brackets.",
    (
        "- Five to eight keywords, of one to four words each: first the surroundings, then what the subject looks "
        "like, then light, and how the picture is made."
    ),
)
_BRIEFED = (
    "Where the line of a prompt allows it, write about these, in surroundings, views and light in which they are "
    "harder to tell from what they are confused with, yet still beyond doubt."
)
_DRAWN_FORM = (
    "- Three to six keywords, of one to four words each: first the surroundings, then how the picture looks.",
)


# These bounds are part of the schema but not validated: on endpoints that enforce the schema, they
# keep small models from rambling.
_MOST_CHARACTERS = 80
Phrase = Field(json_schema_extra={"maxLength": _MOST_CHARACTERS})
Keyword = Annotated[str, Phrase]


class WrittenPrompt(BaseModel):
    """A prompt about a keyword."""

    subject: str = Field(
        description="What the picture is about, one to five words.", json_schema_extra={"maxLength": _MOST_CHARACTERS}
    )
    keywords: list[Keyword] = Field(
        description="Five to eight keywords, the most telling first.", json_schema_extra={"maxItems": MOST_KEYWORDS}
    )


class WrittenKeywords(BaseModel):
    """The keywords that follow a given subject."""

    keywords: list[Keyword] = Field(
        description="Three to six keywords, the most telling first.", json_schema_extra={"maxItems": MOST_KEYWORDS}
    )


AbilityT = TypeVar("AbilityT", bound=AnyAbility)
SlotT = TypeVar("SlotT", Slot, GroupSlot)


@dataclass(frozen=True)
class PromptRequest(Generic[AbilityT, SlotT]):
    """A request for what is to be written in some slots of a batch."""

    settings: ChatAuthorSettings
    ability: AbilityT
    batch: str
    slots: Mapping[str, SlotT]
    """The slots by row id."""
    examples: tuple[Example, ...]
    failed_before: Container[str] = frozenset()

    noun: ClassVar[str]
    """What is written in a slot."""

    @property
    def prompt_count(self) -> int:
        """The number of prompts in the answer."""
        raise NotImplementedError

    def constant(self) -> list[str]:
        """The parts of the request that are the same in all of a batch."""
        raise NotImplementedError

    def line(self, slot: SlotT, number: int) -> str:
        """What the request says about a slot."""
        raise NotImplementedError

    def answer_model(self) -> type[BaseModel]:
        """The answer, which has a key for each line."""
        raise NotImplementedError

    @property
    def row_ids(self) -> Sequence[str]:
        """The ids of the rows."""
        return list(self.slots)

    @property
    def likely_completion_tokens(self) -> int:
        """An estimate of the length of the answer."""
        return _LIKELY_TOKENS * self.prompt_count

    def only(self, row_ids: Sequence[str]) -> Self:
        """The request for some of the prompts."""
        return replace(self, slots={row_id: self.slots[row_id] for row_id in row_ids})

    def written(self, answer: BaseModel, row_id: str) -> BaseModel:
        """The part of an answer that belongs to a row."""
        written: BaseModel = getattr(answer, f"{self.noun}_{self.row_ids.index(row_id) + 1}")
        return written

    def chat_request(self) -> ChatRequest:
        """The request to send."""
        slots: list[SlotT] = list(self.slots.values())
        numbers = ", ".join(str(slot.index + 1) for slot in slots)
        asked = "\n".join(
            [f"Batch {self.batch}, {self.noun}s {numbers}:", *map(self.line, slots, range(1, len(slots) + 1))]
        )
        return chat_request(
            self.settings.endpoint,
            stage=STAGE,
            messages=[
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": "\n\n".join([*self.constant(), f"# Write\n{asked}"])},
            ],
            answer=self.answer_model(),
            max_output_tokens=_ENVELOPE_TOKENS + self.settings.tokens_per_prompt * self.prompt_count,
            limit_setting="author.tokens_per_prompt",
        )


@dataclass(frozen=True)
class SinglePromptRequest(PromptRequest[Ability, Slot]):
    """A request for the prompts of some slots of a batch."""

    noun: ClassVar[str] = "prompt"

    @property
    def prompt_count(self) -> int:
        """The number of prompts in the answer."""
        return len(self.slots)

    def constant(self) -> list[str]:
        """The parts of the request that are the same in all of a batch."""
        return [
            guidance(self.settings, self.ability),
            _examples(self.settings, self.examples),
            _answer(self.settings),
        ]

    def line(self, slot: Slot, number: int) -> str:
        """What the request says about a prompt."""
        further = [f"{kind}: {word}" for kind, word in slot.words]
        hint = f" ({slot.hint})" if slot.hint else ""
        return f"prompt_{number}: {'; '.join([slot.subject, *further])}{hint}"

    def answer_model(self) -> type[BaseModel]:
        """The answer: one key per prompt."""
        return _answer_model(len(self.slots), self.settings.subjects)


def task(ability: AnyAbility) -> list[str]:
    """The begin of the guidance: the task and the ability's own rules."""
    chat = ability.chat
    lines = [f"# Task: {ability.title}", f"What the pictures teach: {ability.teaches}", chat.instruction]
    return [*lines, "", "# Rules", *(f"- {caution}" for caution in chat.cautions)]


def guidance(settings: ChatAuthorSettings, ability: Ability) -> str:
    """What the request says about the ability and the form of a prompt: everything except examples and slots."""
    drawn = settings.subjects == "drawn"
    form = _DRAWN_FORM if drawn else _GUIDED_FORM
    further = [*(_drawable_words(ability) if drawn else ()), *briefing(ability, _BRIEFED)]
    return "\n".join([*task(ability), *form, *_FORM, *further])


def guidance_key(settings: ChatAuthorSettings, ability: Ability) -> Mapping[str, object]:
    """The contents of a request that determine its prompts, except slots and examples, for the row's key."""
    return {"system": SYSTEM, "guidance": guidance(settings, ability), "answer": _answer(settings)}


def _drawable_words(ability: Ability) -> list[str]:
    words = {
        "scenes": ability.prompts.scenes,
        "things": ability.prompts.contents,
        "places in the picture": POSITIONS,
        "distances": DISTANCES,
        "looks": ability.prompts.details,
    }
    return [
        "",
        "# Words the painter knows",
        (
            "The painter draws these words and leaves out all others, so use them, spelled like this, before any "
            "others; at most one scene, one place and one distance a prompt."
        ),
        *(f"- {kind}: {', '.join(known)}" for kind, known in words.items() if known),
    ]


def _examples(settings: ChatAuthorSettings, examples: Sequence[Example]) -> str:
    return "\n".join(
        [
            "# Examples of good prompts, one a line, the subject in double brackets",
            *(example.text for example in examples),
        ]
    )


def _answer(settings: ChatAuthorSettings) -> str:
    if settings.subjects == "drawn":
        shape = '{"keywords": ["...", "..."]}'
        what = "The subject of each prompt is given and comes first by itself; write only the keywords after it."
    else:
        shape = '{"subject": "...", "keywords": ["...", "..."]}'
        what = (
            "Each line below gives the keyword that its prompt is about: it is the subject, or a part or the theme of "
            "it, as the task wants. What follows in parentheses is a hint to follow where it fits keyword and rules."
        )
    return f'# Answer\nOne JSON object with a key for each line below, "prompt_1" and so on: {shape}. {what}'


@lru_cache(maxsize=128)
def _answer_model(count: int, subjects: str) -> type[BaseModel]:
    # One key per prompt: an object with required keys, unlike a list, cannot be too short or too long.
    written = WrittenKeywords if subjects == "drawn" else WrittenPrompt
    fields: dict[str, Any] = {f"prompt_{number}": (written, ...) for number in range(1, count + 1)}
    return create_model("Prompts", **fields)
