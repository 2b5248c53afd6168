"""Synthetic prompts in the paper's style, with repeats planted among them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

REPEATED, NEARLY_REPEATED = 0.15, 0.10
"""Shares of the rows that repeat an earlier one word by word, and but for a typing mistake or two."""

_SYLLABLES = [
    "ba",
    "cor",
    "den",
    "fa",
    "gil",
    "hu",
    "jor",
    "ka",
    "lim",
    "mo",
    "nar",
    "pe",
    "quo",
    "ri",
    "sol",
    "tu",
    "vex",
    "wy",
]


class Row(NamedTuple):
    """A prompt, its subject, and what it repeats: nothing ("new"), all ("same") or nearly all ("near") of an earlier one."""

    prompt: str
    subject: str
    planted: str


def rows(count: int, seed: int = 7) -> Iterator[Row]:
    """``count`` rows: 1,000 subjects, 2,000 scene and 2,000 detail words, seven keywords after the subject."""
    chance = random.Random(seed)
    words = ["".join(chance.choices(_SYLLABLES, k=3)) for _ in range(4000)]
    subjects = [f"{word} {chance.choice(words)}" for word in words[:1000]]
    fresh: list[tuple[str, str]] = []
    for _ in range(count):
        kind = chance.random()
        if fresh and kind < REPEATED + NEARLY_REPEATED:
            prompt, subject = chance.choice(fresh)
            yield Row(prompt, subject, "same") if kind < REPEATED else Row(_mistyped(prompt, chance), subject, "near")
            continue
        subject = chance.choice(subjects)
        keywords = [f"{chance.choice(words)} {chance.choice(words)}" for _ in range(7)]
        prompt = ", ".join([f"(({subject}))", *keywords])
        fresh.append((prompt, subject))
        yield Row(prompt, subject, "new")


def _mistyped(prompt: str, chance: random.Random) -> str:
    """One letter of the last keyword is another: at most five shingles of some 130 differ."""
    at = len(prompt) - 1 - chance.randrange(4)
    return prompt[:at] + chance.choice("zxy") + prompt[at + 1 :]
