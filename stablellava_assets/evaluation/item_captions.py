"""A benchmark item in a caption: what is asked, and what is accepted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from stablellava_assets.text.conversations import IMAGE_MARK, Turn, without_marks


class AskedItem(TypedDict):
    """The columns of a benchmark item that a caption tells."""

    question: str
    accepted: list[str]
    accepted_groups: NotRequired[list[list[str]] | None]
    history: NotRequired[list[Turn] | None]


def asked(item: AskedItem) -> list[str]:
    """The questions of an item, in order."""
    return [_words(text) for text in (*(turn["value"] for turn in item.get("history") or ()), item["question"])]


def _words(text: str) -> str:
    """A turn without its image marks, and without lines that only say which image is which."""
    lines = [line for line in text.splitlines() if line.strip() and IMAGE_MARK not in line]
    return "\n".join(lines) or without_marks(text)


def accepted(item: AskedItem) -> str:
    """What a right answer says: one keyword of each group."""
    groups: Sequence[Sequence[str]] = item.get("accepted_groups") or [item["accepted"]]
    return " + ".join(" / ".join(group) for group in groups)


def asked_and_accepted(item: AskedItem) -> str:
    """Questions and accepted keywords, one per line."""
    return "\n".join([*asked(item), f"= {accepted(item)}"])
