"""Double brackets in a prompt: what they put weight on, and the prompt without them."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple


class Fragment(NamedTuple):
    """A part of a prompt, and how many pairs of brackets stand around it."""

    text: str
    depth: int


def fragments_of(prompt: str) -> list[Fragment]:
    """A prompt in parts, none of which holds a bracket; an unbalanced bracket puts no weight on anything.

    ``((koala)), tree`` is ``koala`` at depth 2 and ``, tree`` at depth 0.
    """
    pairs = _pairs(prompt)
    depths = [sum(opening < at < closing for opening, closing in pairs) for at in range(len(prompt))]
    kept = [(character, depths[at]) for at, character in enumerate(prompt) if character not in "()"]
    starts = [0, *(at for at, (one, other) in enumerate(pairwise(kept), 1) if one[1] != other[1]), len(kept)]
    parts = [
        Fragment("".join(character for character, _ in kept[a:b]), kept[a][1]) for a, b in pairwise(starts) if kept
    ]
    return [part for part in parts if part.text.strip()] or [Fragment("", 0)]


def without_brackets(prompt: str) -> str:
    """The prompt as a painter reads it that knows no emphasis."""
    return " ".join("".join(character for character in prompt if character not in "()").split())


def _pairs(prompt: str) -> list[tuple[int, int]]:
    """Where matching brackets stand."""
    opened: list[int] = []
    pairs = []
    for at, character in enumerate(prompt):
        if character == "(":
            opened.append(at)
        elif character == ")" and opened:
            pairs.append((opened.pop(), at))
    return pairs
