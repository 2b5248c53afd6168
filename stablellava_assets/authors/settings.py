"""What a profile may say about its author."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from stablellava_assets.authors.chat.dialogue_kinds import DialogueKind
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.inputs.yaml_documents import Document, UserPath

Quota = Annotated[float, Field(ge=0, le=4)]


class EmbeddedAuthorSettings(Document):
    """Prompts and dialogues drawn from the abilities' YAML files."""

    kind: Literal["embedded"]


class ReleasedAuthorSettings(Document):
    """Prompts and dialogues read from StableLLaVA's published JSON files."""

    kind: Literal["released"]
    folder: UserPath = Field(description="Holds one <ability>.json an ability, as published.")


class DialogueQuotas(Document):
    """Conversations of each kind about a picture, on average: 1 is one about every picture, 0.25 about every fourth."""

    describe: Quota = Field(
        1, description="An open request to describe, in a fixed wording; an answer of a sentence or two."
    )
    what: Quota = Field(1, description="What or which: the right answer is a word.")
    yes_no: Quota = Field(2, description="Is it so? As often about what is there as about what is not.")
    either_or: Quota = Field(1, description="Two options, one of them right.")
    misleading: Quota = Field(0.5, description="Two options, both wrong: the answer says what is right.")
    negative_presupposition: Quota = Field(
        0.5,
        description="Takes for granted what is not there (what the dog holds, where there is none); the answer denies.",
    )
    multi_turn: Quota = Field(0.25, description="A conversation of several turns.")

    def of_kinds(self) -> dict[DialogueKind, float]:
        """The quotas by kind."""
        return {kind: getattr(self, kind) for kind in get_args(DialogueKind)}


class ChatAuthorSettings(Document):
    """Prompts and dialogues written by a chat model behind an OpenAI-compatible endpoint."""

    kind: Literal["chat"]
    endpoint: EndpointSettings
    prompts_per_request: int = Field(
        10, ge=1, le=50, description="Prompts asked for at once, so that they share the instructions."
    )
    subjects: Literal["guidance", "drawn"] = Field(
        "guidance",
        description="Subjects to rotate through: guidance, the abilities' chat.keywords; drawn, what the embedded painter draws.",
    )
    examples: int = Field(
        20,
        ge=2,
        le=50,
        description="In-context examples at most: the ability's own, and with every batch more of what the filters kept.",
    )
    dialogues: DialogueQuotas = DialogueQuotas()
    ability_dialogues: dict[str, dict[DialogueKind, Quota]] = Field(
        {}, description="Other quotas for single abilities, as in {abnormal: {describe: 2, what: 0}}."
    )
    turns: int = Field(3, ge=2, le=8, description="Questions in a multi-turn conversation.")
    sees_pictures: bool = Field(False, description="Whether the model sees the picture and not its prompt alone.")
    picture_detail: Literal["low", "high", "auto"] = Field(
        "low", description="How closely it looks, which decides what a picture costs."
    )
    tokens_per_prompt: int = Field(120, ge=16, description="Room for one prompt; models that think first need more.")
    tokens_per_answer: int = Field(
        200, ge=16, description="Room for one question with its answer; models that think first need more."
    )

    def quotas_of(self, ability: str) -> dict[DialogueKind, float]:
        """The quotas of an ability by kind."""
        return {**self.dialogues.of_kinds(), **self.ability_dialogues.get(ability, {})}


AuthorSettings = Annotated[
    EmbeddedAuthorSettings | ReleasedAuthorSettings | ChatAuthorSettings, Field(discriminator="kind")
]
