"""What a batch of an ability should have more of: subjects, and the things they are mistaken for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stablellava_assets.inputs.yaml_documents import Document

Weight = Annotated[float, Field(gt=0, le=100)]


class FailedQuestion(Document):
    """A mistake in words: what an image showed, and what an answer took it for."""

    kind: str = Field(description="Kind of the question.")
    shown: str = Field(description="What the image showed, as an answer names it.")
    said: str = Field(description="What the answer said instead.")
    times: int = Field(ge=1, description="How often.")


class Brief(Document):
    """Weights; a subject or an answer that is not named has 1. And the mistakes that they come from."""

    subjects: dict[str, Weight] = Field(default_factory=dict, description="How often prompts draw a subject.")
    confused: dict[str, dict[str, Weight]] = Field(
        default_factory=dict,
        description="How often questions about an answer mislead by another answer.",
    )
    failed: list[FailedQuestion] = Field(
        default_factory=list, description="The most frequent mistakes, for a chat author."
    )
