"""LLaVA's conversations: turns of ``human`` and ``gpt``, with an ``<image>`` mark where each picture stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

IMAGE_MARK = "<image>"
HUMAN, GPT = "human", "gpt"
CHAT_ROLES = {HUMAN: "user", GPT: "assistant"}
"""The roles of chat templates, by LLaVA's speakers."""

Turn = TypedDict("Turn", {"from": str, "value": str})
"""One message as rows hold it; ``from`` is human or gpt."""


def exchange(question: str, answer: str) -> list[Turn]:
    """The two turns of one question."""
    return [{"from": HUMAN, "value": question}, {"from": GPT, "value": answer}]


def with_mark(question: str, first: bool) -> str:
    """A question with the mark of one picture before or after it, on a line of its own."""
    return f"{IMAGE_MARK}\n{question}" if first else f"{question}\n{IMAGE_MARK}"


def without_marks(text: str) -> str:
    """A turn's text alone."""
    return text.replace(IMAGE_MARK, "").strip()


def speakers_of(turns: Sequence[Turn]) -> list[str]:
    """Who speaks, turn by turn."""
    return [turn["from"] for turn in turns]


def alternate(turns: Sequence[Turn]) -> bool:
    """Whether there are turns, the human begins, and every question has its answer."""
    return bool(turns) and speakers_of(turns) == [HUMAN, GPT] * (len(turns) // 2)


def marks_of(turns: Sequence[Turn]) -> list[int]:
    """The number of image marks in every turn."""
    return [turn["value"].count(IMAGE_MARK) for turn in turns]


def said_by(speaker: str, turns: Sequence[Turn]) -> list[str]:
    """What one speaker says, turn by turn."""
    return [turn["value"] for turn in turns if turn["from"] == speaker]
