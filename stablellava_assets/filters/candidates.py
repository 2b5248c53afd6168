"""The pairs that the filters judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from stablellava_assets.abilities.prompt_format import normalized_prompt
from stablellava_assets.filters.findings import Finding
from stablellava_assets.tables.pair_rows import ComparedPair, DialogueToJudge, ImageToJudge, PromptedPair, SpecToJudge
from stablellava_assets.tables.table import columns_of
from stablellava_assets.text.conversations import GPT, HUMAN, said_by
from stablellava_assets.text.normalized import normalized_text

EARLIER_COLUMNS = columns_of(ComparedPair)
"""The columns of ``filtered_pairs`` that later batches are compared with; images are not read again."""


class AlignmentVerdict(NamedTuple):
    """The findings from the scores of an image, or of the images of a pair, and a hash of the scores and thresholds
    behind them."""

    key: str
    findings: tuple[Finding, ...]


class PaintedPrompt(NamedTuple):
    """A prompt and its image: a ``prompt_specs`` and an ``images`` row."""

    spec: SpecToJudge
    image: ImageToJudge


@dataclass(frozen=True)
class Candidate:
    """A pair to judge: a ``dialogues`` row, and the ``prompt_specs`` and ``images`` rows of its first image.

    ``alignment`` is None if the profile configures no alignment scorers. ``further`` are the prompts and images after
    the first, in the order of their marks.
    """

    dialogue: DialogueToJudge
    spec: SpecToJudge
    image: ImageToJudge
    alignment: AlignmentVerdict | None = None
    further: tuple[PaintedPrompt, ...] = ()

    @property
    def painted(self) -> tuple[PaintedPrompt, ...]:
        """Every prompt with its image, in the order of their marks."""
        return (PaintedPrompt(self.spec, self.image), *self.further)

    @property
    def compared(self) -> ComparedPair:
        """The values that are compared with other pairs."""
        further = self.further or None
        return {
            "pair_id": self.dialogue["pair_id"],
            "spec_ids": self.dialogue["spec_ids"],
            "image_ids": self.dialogue["image_ids"],
            "prompt": self.spec["prompt"],
            "subject": self.spec["subject"],
            "conversations": self.dialogue["conversations"],
            "expected": self.dialogue["expected"],
            "image_sha256": self.image["sha256"],
            "perceptual_hash": self.image["perceptual_hash"],
            "further_prompts": further and [each.spec["prompt"] for each in further],
            "further_subjects": further and [each.spec["subject"] for each in further],
            "further_image_sha256": further and [each.image["sha256"] for each in further],
            "further_perceptual_hashes": further and [each.image["perceptual_hash"] for each in further],
        }

    @property
    def questions(self) -> list[str]:
        """The human's turns."""
        return said_by(HUMAN, self.dialogue["conversations"])

    @property
    def answers(self) -> list[str]:
        """The assistant's turns."""
        return said_by(GPT, self.dialogue["conversations"])


def prompts_of(pair: PromptedPair) -> list[str]:
    """The prompts of a pair, in the order of its images."""
    return _all(pair["prompt"], pair.get("further_prompts"))


def subjects_of(pair: PromptedPair) -> list[str]:
    """The subjects of a pair, in the order of its images."""
    return _all(pair["subject"], pair.get("further_subjects"))


def image_hashes_of(pair: ComparedPair) -> list[str]:
    """The SHA-256 of the images of a pair, in order."""
    return _all(pair["image_sha256"], pair.get("further_image_sha256"))


def perceptual_hashes_of(pair: ComparedPair) -> list[str]:
    """The perceptual hashes of the images of a pair, in order."""
    return _all(pair["perceptual_hash"], pair.get("further_perceptual_hashes"))


def _all(first: str, further: Sequence[str] | None) -> list[str]:
    return [first] if further is None else [first, *further]


def spec_key(pair: ComparedPair) -> str:
    """The ids of the pair's prompts.

    Like the other texts by which pairs are compared, it is the same whatever the order of the images, and never that of
    a pair about fewer or more images.
    """
    return _in_any_order(pair["spec_ids"])


def subject_key(pair: ComparedPair) -> str:
    """The normalized subjects of the pair."""
    return _in_any_order([normalized_text(subject) for subject in subjects_of(pair)])


def prompt_text(pair: ComparedPair) -> str:
    """The normalized prompts of the pair."""
    return _in_any_order([normalized_prompt(prompt) for prompt in prompts_of(pair)])


def bytes_key(pair: ComparedPair) -> str:
    """The SHA-256 of the pair's images."""
    return _in_any_order(image_hashes_of(pair))


def _in_any_order(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else "\n".join(sorted(texts))


def answer_text(pair: ComparedPair) -> str:
    """All turns of the assistant as one normalized text."""
    return normalized_text(" ".join(said_by(GPT, pair["conversations"])))


def question_key(pair: ComparedPair) -> tuple[str, ...]:
    """The pair's image ids, in any order, and its normalized questions."""
    questions = map(normalized_text, said_by(HUMAN, pair["conversations"]))
    return (*sorted(pair["image_ids"]), "", *questions)
