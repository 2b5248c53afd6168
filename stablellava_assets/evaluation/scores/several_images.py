"""Answers about several images, which StableLLaVA's paper lets a judge grade from 1 to 5."""

from __future__ import annotations

from stablellava_assets.evaluation.kinds import CONTROLS
from stablellava_assets.tables.score_rows import AnswerColumns
from stablellava_assets.text.conversations import IMAGE_MARK

MOST_OF_FIVE = 5
_SYNTHESIZED = "ai"


def asks_about_several(answer: AnswerColumns) -> bool:
    """Whether a question is about several images."""
    asked = [*(turn["value"] for turn in answer.get("history") or ()), answer.get("question", "")]
    return sum(text.count(IMAGE_MARK) for text in asked) > 1


def is_graded_in_five(answer: AnswerColumns) -> bool:
    """Whether an answer is a model's to a question about several synthesized images; controls are not graded."""
    return asks_about_several(answer) and answer["benchmark"] == _SYNTHESIZED and answer["model"] not in CONTROLS
