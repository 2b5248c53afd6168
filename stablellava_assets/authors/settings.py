"""What a profile may say about its author."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from stablellava_assets.yaml_documents import Document


class EmbeddedAuthorSettings(Document):
    """Prompts and dialogues drawn from the abilities' YAML files."""

    kind: Literal["embedded"]


class ReleasedAuthorSettings(Document):
    """Prompts and dialogues read from StableLLaVA's published JSON files."""

    kind: Literal["released"]
    folder: Path = Field(description="Holds one <ability>.json an ability, as published.")


AuthorSettings = Annotated[EmbeddedAuthorSettings | ReleasedAuthorSettings, Field(discriminator="kind")]
