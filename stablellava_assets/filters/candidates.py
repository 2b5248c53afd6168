"""The pairs that the filters judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from stablellava_assets.filters.findings import Finding
from stablellava_assets.tables.pair_rows import ComparedPair, DialogueToJudge, ImageToJudge, SpecToJudge
from stablellava_assets.tables.table import columns_of
from stablellava_assets.text.conversations import GPT, HUMAN, said_by
from stablellava_assets.text.normalized import normalized_text

EARLIER_COLUMNS = columns_of(ComparedPair)
"""The columns of ``filtered_pairs`` that later batches are compared with; images are not read again."""


class AlignmentVerdict(NamedTuple):
    """The findings from the scores of an image, and a hash of the scores and thresholds behind them."""

    key: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Candidate:
    """A pair to judge: a ``dialogues`` row, and the ``prompt_specs`` and ``images`` rows of its first image.

    ``alignment`` is None if the profile configures no alignment scorers.
    """

    dialogue: DialogueToJudge
    spec: SpecToJudge
    image: ImageToJudge
    alignment: AlignmentVerdict | None = None

    @property
    def compared(self) -> ComparedPair:
        """The values that are compared with other pairs."""
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
        }

    @property
    def questions(self) -> list[str]:
        """The human's turns."""
        return said_by(HUMAN, self.dialogue["conversations"])

    @property
    def answers(self) -> list[str]:
        """The assistant's turns."""
        return said_by(GPT, self.dialogue["conversations"])


def answer_text(pair: ComparedPair) -> str:
    """All turns of the assistant as one normalized text."""
    return normalized_text(" ".join(said_by(GPT, pair["conversations"])))


def question_key(pair: ComparedPair) -> tuple[str, ...]:
    """The pair's image ids and its normalized questions."""
    questions = map(normalized_text, said_by(HUMAN, pair["conversations"]))
    return (*pair["image_ids"], "", *questions)
