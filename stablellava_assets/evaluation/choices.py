"""Multiple choice with circular evaluation (MMBench, Liu et al., 2023): right only if right in every rotation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase

from stablellava_assets.evaluation.keywords import find_keyword

MOST_OPTIONS = len(ascii_uppercase)
_INSTRUCTION = "Answer with the option's letter from the given choices directly."
"""As LLaVA-1.5 asks MMBench (Liu et al., 2023, "Improved Baselines with Visual Instruction Tuning")."""

_LEADING_LETTER = re.compile(r"\s*[(\[*]*([A-Z])(?:[)\].,:;*]|\s*$)")
_NAMED_LETTER = re.compile(
    r"\b(?:answer|option|choice)(?:\s+is)?\s*:?\s*[(\[*]*([A-Z])\b(?![’'])(?!\s+[a-z])", re.IGNORECASE
)
_BRACKETED_LETTER = re.compile(r"\(([A-Z])\)")


def rotated(options: Sequence[str], rotation: int) -> list[str]:
    """The options, the first ``rotation`` of them moved to the end."""
    return [*options[rotation:], *options[:rotation]]


def choice_question(question: str, options: Sequence[str]) -> str:
    """The question with its lettered options, a line each."""
    lines = [f"{letter}. {option}" for letter, option in zip(ascii_uppercase, options, strict=False)]
    return "\n".join([question, *lines, _INSTRUCTION])


def chosen_option(answer: str, options: Sequence[str]) -> str | None:
    """The option an answer chooses: by its letter, or by being the only one whose words it holds. None: it chooses none.

    A capital A that begins a sentence is an article, so a letter counts only where it stands alone, in brackets, before
    punctuation, or after "answer", "option" or "choice".
    """
    for pattern in (_LEADING_LETTER, _NAMED_LETTER):
        if (found := pattern.match(answer) if pattern is _LEADING_LETTER else pattern.search(answer)) is not None:
            return _lettered(found[1], options)
    letters = set(_BRACKETED_LETTER.findall(answer))
    if len(letters) == 1:
        return _lettered(letters.pop(), options)
    return _named(answer, options)


def _lettered(letter: str, options: Sequence[str]) -> str | None:
    index = ascii_uppercase.index(letter.upper())
    return options[index] if index < len(options) else None


def _named(answer: str, options: Sequence[str]) -> str | None:
    found = {option: find_keyword(option, answer) for option in options}
    # "cat" also stands in "cat tree": an option whose every mention is part of another's is not what was meant.
    meant = [
        option
        for option, spans in found.items()
        if any(
            not any(_within(span, other) for name in options if name != option for other in found[name])
            for span in spans
        )
    ]
    return meant[0] if len(meant) == 1 else None


def _within(span: tuple[int, int], other: tuple[int, int]) -> bool:
    return other[0] <= span[0] and span[1] <= other[1] and span != other
