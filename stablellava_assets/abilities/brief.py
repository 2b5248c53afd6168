"""What a batch of an ability should have more of: subjects, and the things they are mistaken for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stablellava_assets.inputs.yaml_documents import Document

Weight = Annotated[float, Field(gt=0, le=100)]


class Brief(Document):
    """Weights; a subject or an answer that is not named has 1."""

    subjects: dict[str, Weight] = Field(default_factory=dict, description="How often prompts draw a subject.")
    confused: dict[str, dict[str, Weight]] = Field(
        default_factory=dict,
        description="How often questions about an answer mislead by another answer.",
    )
