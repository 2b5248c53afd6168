"""The format of a text-to-image prompt, ``((subject)), keyword, ...``: the only place that
formats, parses and compares it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from stablellava_assets.text.normalized import normalized_text

_BRACKETED = re.compile(r"\(\((.*?)\)\)", re.DOTALL)
_WELL_FORMED = re.compile(r"^\(\([^()]+\)\)(, [^,()]+)+$")
_WELL_BRACKETED = re.compile(r"\(\(([^()]+)\)\)")


class AmbiguousPromptError(ValueError):
    """The subject of a prompt is ambiguous; the message says why."""


class ParsedPrompt(NamedTuple):
    """A parsed prompt; ``balanced`` tells whether as many brackets are closed as opened."""

    subject: str
    keywords: list[str]
    balanced: bool


def prompt_of(subject: str, keywords: Iterable[str]) -> str:
    """The prompt that emphasizes ``subject``."""
    return ", ".join([f"(({subject}))", *keywords])


def is_well_formed(prompt: str) -> bool:
    """Whether a prompt has the format of :func:`prompt_of`, with at least one keyword besides the subject."""
    return _WELL_FORMED.match(prompt) is not None


def keywords_of(prompt: str) -> list[str]:
    """The comma-separated keywords of a prompt, including the subject, without brackets and surrounding spaces."""
    return [keyword for part in prompt.split(",") if (keyword := part.strip(" \t\r\n()"))]


def parse_prompt(prompt: str) -> ParsedPrompt:
    """Subject (in its original case: the text in double brackets, or else the first keyword)
    and the other keywords, in order."""
    balanced = prompt.count("(") == prompt.count(")")
    found = _BRACKETED.search(prompt)
    if found is None:
        first, _, rest = prompt.partition(",")
        return ParsedPrompt(first.strip(" \t\r\n()"), keywords_of(rest), balanced)
    return ParsedPrompt(
        found[1].strip(" \t\r\n()"), keywords_of(f"{prompt[: found.start()]},{prompt[found.end() :]}"), balanced
    )


def split_prompt(prompt: str) -> tuple[str, list[str]]:
    """The subject and the other keywords.

    The subject is the first phrase in well-formed double brackets, or else the first keyword, if it has no brackets.

    Raises:
        AmbiguousPromptError: there is no first keyword, or it contains brackets.
    """
    found = _WELL_BRACKETED.search(prompt)
    if found:
        subject, rest = found.group(1), prompt[: found.start()] + "," + prompt[found.end() :]
    else:
        subject, _, rest = prompt.partition(",")
    subject = subject.strip("() \t\n")
    if not subject:
        raise AmbiguousPromptError("the prompt names no subject")
    if "(" in subject or ")" in subject:
        raise AmbiguousPromptError(f"the brackets of {subject!r} do not tell what the subject is")
    keywords = (keyword.strip("() \t\n.") for keyword in rest.split(","))
    return subject, [keyword for keyword in keywords if keyword]


@lru_cache(maxsize=32_768)
def normalized_prompt(prompt: str) -> str:
    """A prompt without what does not affect its image: case, brackets, spacing, and the order
    of keywords after the subject."""
    subject, *keywords = normalized_text(re.sub(r"[()]", " ", prompt)).split(",")
    return ", ".join([subject.strip(), *sorted({keyword.strip(" .") for keyword in keywords} - {""})])


def subject_of(prompt: str) -> str:
    """The subject of a prompt that begins with it, in lower case."""
    return normalized_prompt(prompt).partition(",")[0]


class Fragment(NamedTuple):
    """A part of a prompt, and the number of bracket pairs around it."""

    text: str
    depth: int


def fragments_of(prompt: str) -> list[Fragment]:
    """Split a prompt into parts without brackets; unbalanced brackets add no emphasis.

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
    """The prompt for a painter that does not support emphasis."""
    return " ".join("".join(character for character in prompt if character not in "()").split())


def _pairs(prompt: str) -> list[tuple[int, int]]:
    opened: list[int] = []
    pairs = []
    for at, character in enumerate(prompt):
        if character == "(":
            opened.append(at)
        elif character == ")" and opened:
            pairs.append((opened.pop(), at))
    return pairs
