"""What a batch of an ability should have more of: subjects, the things they are mistaken for, and what the images of a
group are compared by."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, PrivateAttr

from stablellava_assets.inputs.yaml_documents import Document

Weight = Annotated[float, Field(gt=0, le=100)]


class FailedQuestion(Document):
    """A mistake in words: what an image showed, and what an answer took it for."""

    kind: str = Field(description="Kind of the question.")
    shown: str = Field(description="What the image showed, as an answer names it.")
    said: str = Field(description="What the answer said instead.")
    times: int = Field(ge=1, description="How often.")


class Brief(Document):
    """Weights; what is not named has 1. And the mistakes that they come from."""

    subjects: dict[str, Weight] = Field(default_factory=dict, description="How often prompts draw a subject.")
    confused: dict[str, dict[str, Weight]] = Field(
        default_factory=dict,
        description="How often questions about an answer mislead by another answer.",
    )
    compared: dict[str, Weight] = Field(
        default_factory=dict, description="How often groups of images compare an aspect, such as the position."
    )
    failed: list[FailedQuestion] = Field(
        default_factory=list, description="The most frequent mistakes, for a chat author."
    )


class BriefedDocument(Document):
    """An ability, whose batches may follow a brief. Benchmarks and bases never follow one."""

    _brief: Brief = PrivateAttr(default_factory=Brief)

    @property
    def brief(self) -> Brief:
        """What prompts and questions have more of; nothing unless :meth:`with_brief` says so."""
        return self._brief

    def with_brief(self, brief: Brief) -> Self:
        """The same ability for a batch with more of what ``brief`` says."""
        briefed = self.model_copy()
        briefed._brief = brief
        return briefed
