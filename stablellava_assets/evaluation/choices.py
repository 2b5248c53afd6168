"""Multiple choice with circular evaluation (MMBench, Liu et al., 2023): right only if right in every rotation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_uppercase

from stablellava_assets.evaluation.keywords import find_affirmed, find_keyword

MOST_OPTIONS = len(ascii_uppercase)
_INSTRUCTION = "Answer with the option's letter from the given choices directly."
"""As LLaVA-1.5 asks MMBench (Liu et al., 2023, "Improved Baselines with Visual Instruction Tuning")."""

_DETERMINER = re.compile(r"\A\s*(?:an?|the|its|his|her|their|my|your|our)\s+(?=\S)", re.IGNORECASE)
_OPENING = r"""[(\[*"“'‘]*"""
_LETTER = rf"{_OPENING}([A-Za-z])\b(?![’'-]\w)"
_CAPITAL = rf"{_OPENING}((?-i:[A-Z]))\b(?![’'-]\w)"
# What follows a letter that stands for itself; "i.e." and "a dog" begin with none.
_ENDS = r"""(?=[)\],:;!?*"”\n]|\.(?!(?-i:[a-z]))|[’'](?!\w)|\s*\Z|[ \t]+(?:\n|[-–—]|(?:is|because|since|as)\b))"""
# A and I are words as well, so before most words they are no letters.
_NO_WORD = rf"(?:(?<![AI])|(?<=(?:option|choice) (?-i:A))|{_ENDS}|(?=[ \t]+(?:and|or)\b))"
_NOT_RULED_OUT = (
    r"(?![ \t]+(?:\w+n[’']t|cannot"
    r"|(?:is|was|does|can|could|would|must)[ \t]+(?:\w+ly[ \t]+)?(?:not|wrong|incorrect|false))\b)"
)
_IS = r"[ \t]+(?:is|was|(?:would|should|must|will)[ \t]+be)\b(?:[ \t]+\w+ly\b)?"
_ABOUT = r"(?:[ \t]+(?:to|for|from|of|here)\b[^.,;:!?\n]{0,60}?)?"
_CHOOSING = r"I(?:[’'](?:d|ll)|[ \t]+would|[ \t]+will)?[ \t]+(?:choose|pick|select|say|take|go[ \t]+with)"
# The clearest first: the first that reads a letter decides.
_READINGS = [
    re.compile(reading, re.IGNORECASE)
    for reading in (
        # "Answer: B", "The correct choice would be B", "The answer to this question is B because"
        rf"\b(?:answer|option|choice|correct[ \t]+letter){_ABOUT}(?:{_IS}[\s:*]*|[\s*]*[-:=][\s*]*)"
        rf"(?:letter )?{_LETTER}{_NO_WORD}",
        # "B", "(b)", "B. A dog", "B is correct."
        rf"\A\s*{_LETTER}{_ENDS}{_NOT_RULED_OUT}",
        # "Option B is correct."
        rf"(?<!not )(?<!n[’']t )\b(?:answer|option|choice)[ \t]+{_LETTER}{_NO_WORD}{_NOT_RULED_OUT}",
        # "It's B.", "I choose B."
        rf"\b(?:it(?:[’']s|{_IS})|{_CHOOSING})[ \t]+{_CAPITAL}{_ENDS}",
        r"\(((?-i:[A-Z]))\)",
    )
]
_ANOTHER = re.compile(
    rf"[)\]*\"”’']*[ \t]*(?:[,/&][ \t]*)?(?:(?:and|or)[ \t]+)?(?:option[ \t]+)?{_CAPITAL}"
    r"(?=[)\],/&;.*\"”\n]|\s*\Z|[ \t]+(?:and|or|are)\b)",
    re.IGNORECASE,
)


def rotated(options: Sequence[str], rotation: int) -> list[str]:
    """The options, the first ``rotation`` of them moved to the end."""
    return [*options[rotation:], *options[:rotation]]


def choice_question(question: str, options: Sequence[str]) -> str:
    """The question with its lettered options, a line each."""
    lines = [f"{letter}. {option}" for letter, option in zip(ascii_uppercase, options, strict=False)]
    return "\n".join([question, *lines, _INSTRUCTION])


def chosen_option(answer: str, options: Sequence[str]) -> str | None:
    """The option an answer chooses: by its letter, or by being the only one whose words it holds. None: it chooses none.

    A letter counts where it begins the answer and stands alone, where the answer says that it is the answer, option or
    choice, and in brackets; A and I before another word are words. Two different letters choose none. Among words, those
    right behind a negation do not count, nor do articles and possessives that begin an option.
    """
    letters = _letters(answer, len(options))
    if letters:
        return options[ascii_uppercase.index(letters.pop())] if len(letters) == 1 else None
    return _named(answer, options)


def _letters(answer: str, count: int) -> set[str]:
    """Which of the first ``count`` letters an answer names, in the clearest way in which it names any."""
    offered = ascii_uppercase[:count]
    for reading in _READINGS:
        found = list(reading.finditer(answer))
        listed = [_ANOTHER.match(answer, match.end(1)) for match in found]
        letters = {match[1].upper() for match in (*found, *listed) if match is not None}
        if letters & set(offered):
            return letters & set(offered)
    return set()


def _named(answer: str, options: Sequence[str]) -> str | None:
    bare = [_DETERMINER.sub("", option) for option in options]
    # "His hat" and "her hat" differ in nothing else.
    names = dict(zip(bare if len(set(bare)) == len(bare) else options, options, strict=True))
    found = {name: find_keyword(name, answer) for name in names}
    # "cat" also stands in "cat tree": an option whose every mention is part of another's is not what was meant.
    meant = [
        option
        for name, option in names.items()
        if any(
            not any(_within(span, other) for others in found.values() for other in others)
            for span in find_affirmed(name, answer)
        )
    ]
    return meant[0] if len(meant) == 1 else None


def _within(span: tuple[int, int], other: tuple[int, int]) -> bool:
    return other[0] <= span[0] and span[1] <= other[1] and span != other
