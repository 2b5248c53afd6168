"""What a profile may say about its author."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field

from stablellava_assets.authors.chat.dialogue_kinds import DialogueKind
from stablellava_assets.endpoint.picture_parts import Detail
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.inputs.yaml_documents import Document, UserPath

Quota = Annotated[float, Field(ge=0, le=4)]


class EmbeddedAuthorSettings(Document):
    """Prompts and dialogues drawn from the abilities' YAML files."""

    kind: Literal["embedded"]
    endpoint: ClassVar[None] = None
    not_shown: float = Field(
        0,
        ge=0,
        le=0.2,
        description=(
            "Share of an ability's dialogues that ask about something that the image does not show, as another image "
            "is asked; the answer says that it is not there. Of abilities with never_shows."
        ),
    )


class ReleasedAuthorSettings(Document):
    """Prompts and dialogues read from StableLLaVA's published JSON files."""

    kind: Literal["released"]
    endpoint: ClassVar[None] = None
    folder: UserPath = Field(description="Folder with one <ability>.json per ability, as published.")


class DialogueQuotas(Document):
    """Average number of conversations per image, by kind: 1 is one per image, 0.25 one for every fourth."""

    describe: Quota = Field(
        1, description="A request to describe the image, in a fixed wording; the answer has one or two sentences."
    )
    what: Quota = Field(1, description="A question with what or which; the right answer is a word.")
    yes_no: Quota = Field(2, description="A yes-no question; half of them are about something that is not there.")
    either_or: Quota = Field(1, description="Two options, one of them right.")
    misleading: Quota = Field(0.5, description="Two options, both wrong: the answer says what is right.")
    negative_presupposition: Quota = Field(
        0.5,
        description=(
            "A question that presupposes something absent (what the dog holds, without a dog); the answer denies it."
        ),
    )
    multi_turn: Quota = Field(0.25, description="A conversation of several turns.")

    def of_kinds(self) -> dict[DialogueKind, float]:
        """The quotas by kind."""
        return {kind: getattr(self, kind) for kind in get_args(DialogueKind)}


def _batch(written: object) -> object:
    if written is not None and not (isinstance(written, str) and re.fullmatch(r"\d{4}", written) and int(written)):
        raise ValueError('takes a batch in quotes, such as "0001"')
    return written


class ChatAuthorSettings(Document):
    """Prompts and dialogues written by a chat model behind an OpenAI-compatible endpoint."""

    kind: Literal["chat"]
    endpoint: EndpointSettings
    prompts_per_request: int = Field(10, ge=1, le=50, description="Prompts per request; they share the instructions.")
    subjects: Literal["guidance", "drawn"] = Field(
        "guidance",
        description=(
            "Subjects to rotate through. guidance: the abilities' chat.keywords; drawn: the subjects of the embedded "
            "painter."
        ),
    )
    examples: int = Field(
        20,
        ge=2,
        le=50,
        description=("Maximum number of in-context examples: the ability's own, and those of the batch examples_from."),
    )
    examples_from: Annotated[str | None, BeforeValidator(_batch)] = Field(
        None,
        description=(
            'Batch whose good prompts and conversations are examples in later ones, such as "0001"; it must be '
            "filtered before others are written. Unset: only the ability's own."
        ),
    )
    dialogues: DialogueQuotas = DialogueQuotas()
    ability_dialogues: dict[str, dict[DialogueKind, Quota]] = Field(
        {}, description="Quotas of single abilities, such as {abnormal: {describe: 2, what: 0}}."
    )
    turns: int = Field(3, ge=2, le=8, description="Questions in a multi-turn conversation.")
    sees_pictures: bool = Field(False, description="Whether the model sees the image or only its prompt.")
    picture_detail: Detail = Field(
        "low", description="Image detail in requests, which determines the cost of an image."
    )
    tokens_per_prompt: int = Field(120, ge=16, description="Output tokens for one prompt; reasoning models need more.")
    tokens_per_answer: int = Field(
        200, ge=16, description="Output tokens for one question with its answer; reasoning models need more."
    )

    def quotas_of(self, ability: str) -> dict[DialogueKind, float]:
        """The quotas of an ability by kind."""
        return {**self.dialogues.of_kinds(), **self.ability_dialogues.get(ability, {})}


AuthorSettings = Annotated[
    EmbeddedAuthorSettings | ReleasedAuthorSettings | ChatAuthorSettings, Field(discriminator="kind")
]
