"""LLaVA's conversations: turns of ``human`` and ``gpt``, with an ``<image>`` mark per image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

IMAGE_MARK = "<image>"
HUMAN, GPT = "human", "gpt"
CHAT_ROLES = {HUMAN: "user", GPT: "assistant"}
"""The roles of chat templates, by LLaVA's speakers."""

Turn = TypedDict("Turn", {"from": str, "value": str})
"""One message in a row; ``from`` is human or gpt."""


class ContentPart(TypedDict):
    """Content of a chat message: an image or a text."""

    type: str
    text: NotRequired[str]


class ChatMessage(TypedDict):
    """A message in the form that chat templates take."""

    role: str
    content: list[ContentPart]


def exchange(question: str, answer: str) -> list[Turn]:
    """The two turns of one question."""
    return [{"from": HUMAN, "value": question}, {"from": GPT, "value": answer}]


def with_mark(question: str, first: bool) -> str:
    """A question with one image mark before or after it, on its own line."""
    return f"{IMAGE_MARK}\n{question}" if first else f"{question}\n{IMAGE_MARK}"


def with_marks(question: str, images: int) -> str:
    """A question after the marks of its images, each on its own line."""
    return f"{IMAGE_MARK}\n" * images + question


def without_marks(text: str) -> str:
    """The text of a turn."""
    return text.replace(IMAGE_MARK, "").strip()


def speakers_of(turns: Sequence[Turn]) -> list[str]:
    """The speaker of each turn."""
    return [turn["from"] for turn in turns]


def alternate(turns: Sequence[Turn]) -> bool:
    """Whether there are turns, the human begins, and every question has an answer."""
    return bool(turns) and speakers_of(turns) == [HUMAN, GPT] * (len(turns) // 2)


def marks_of(turns: Sequence[Turn]) -> list[int]:
    """The number of image marks in each turn."""
    return [turn["value"].count(IMAGE_MARK) for turn in turns]


def said_by(speaker: str, turns: Sequence[Turn]) -> list[str]:
    """The turns of one speaker."""
    return [turn["value"] for turn in turns if turn["from"] == speaker]


def content_of(value: str) -> list[ContentPart]:
    """A turn as content of a chat message. A turn's only image goes before its text, as in LLaVA's training; several
    images keep their places among the texts."""
    pieces = ["", value.replace(IMAGE_MARK, "")] if value.count(IMAGE_MARK) == 1 else value.split(IMAGE_MARK)
    content: list[ContentPart] = []
    for number, piece in enumerate(pieces):
        if number:
            content.append({"type": "image"})
        if text := piece.strip():
            content.append({"type": "text", "text": text})
    return content


EXPECTED_SEPARATOR = " | "
"""Between the words of ``expected`` that an answer must all contain, in this order."""


def expected_words(expected: str) -> list[str]:
    """The words that a right answer must contain, in order."""
    return expected.split(EXPECTED_SEPARATOR)
