"""Synthetic prompts in the paper's style, with repeats planted among them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from typing import NamedTuple

REPEATED, NEARLY_REPEATED = 0.15, 0.10
"""Shares of the rows that repeat an earlier one word by word, and but for one letter."""

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
    """A prompt, its subject, and what it repeats: nothing ("new"), all ("same") or nearly
    all ("near") of an earlier one."""

    prompt: str
    subject: str
    planted: str


def rows(count: int, seed: int = 7) -> Iterator[Row]:
    """``count`` rows: 1,000 subjects, 2,000 scene and 2,000 detail words, seven keywords after the subject.

    A "new" and a "near" prompt differ from every prompt before them.
    """
    chance = random.Random(seed)
    words = ["".join(chance.choices(_SYLLABLES, k=3)) for _ in range(4000)]
    subjects = [f"{word} {chance.choice(words)}" for word in words[:1000]]
    fresh: list[tuple[str, str]] = []
    taken: set[bytes] = set()
    for _ in range(count):
        kind = chance.random()
        if fresh and kind < REPEATED:
            yield Row(*chance.choice(fresh), "same")
            continue
        is_near = bool(fresh) and kind < REPEATED + NEARLY_REPEATED
        while True:
            prompt, subject = _mistyped(fresh, chance) if is_near else _written(subjects, words, chance)
            if (mark := _mark(prompt)) not in taken:
                break
        taken.add(mark)
        if not is_near:
            fresh.append((prompt, subject))
        yield Row(prompt, subject, "near" if is_near else "new")


def _written(subjects: list[str], words: list[str], chance: random.Random) -> tuple[str, str]:
    """A prompt and its subject."""
    subject = chance.choice(subjects)
    keywords = [f"{chance.choice(words)} {chance.choice(words)}" for _ in range(7)]
    return ", ".join([f"(({subject}))", *keywords]), subject


def _mistyped(fresh: list[tuple[str, str]], chance: random.Random) -> tuple[str, str]:
    """One of ``fresh`` with a letter of its last keyword drawn anew: at most five shingles of some 130 differ.

    The letter may be the one that was there, or another mistyping may have it already;
    whoever asks looks whether it is.
    """
    prompt, subject = chance.choice(fresh)
    at = len(prompt) - 1 - chance.randrange(4)
    return prompt[:at] + chance.choice("zxy") + prompt[at + 1 :], subject


def _mark(prompt: str) -> bytes:
    """Stands for the prompt in little memory. Two prompts that share one cost another draw, and are no mistake."""
    return hashlib.blake2b(prompt.encode(), digest_size=8).digest()
