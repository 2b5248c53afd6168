"""Converts prompts written by a model to row columns: plain words in the paper's form, or
the reason for rejecting them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from pydantic import BaseModel

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.prompt_format import prompt_of
from stablellava_assets.authors.chat.cleaning import UnusableTextError, clean_words
from stablellava_assets.authors.chat.prompt_requests import (
    FEWEST_KEYWORDS,
    MOST_KEYWORDS,
    WrittenKeywords,
    WrittenPrompt,
)
from stablellava_assets.authors.chat.rotation import Slot
from stablellava_assets.tables.pair_rows import Fact

SUBJECT_WORDS, _KEYWORD_WORDS = 8, 8
_PROMPT_CHARACTERS = 300


class PromptColumns(TypedDict):
    """The columns of a ``prompt_specs`` row that hold the prompt."""

    prompt: str | None
    subject: str | None
    keywords: list[str]
    facts: list[Fact]


def prompt_columns(ability: Ability, slot: Slot, written: BaseModel) -> PromptColumns:
    """The columns of a ``prompt_specs`` row that hold the prompt.

    Raises:
        UnusableTextError: the text is no valid prompt; the message is the row's reason.
    """
    if isinstance(written, WrittenPrompt):
        subject = clean_words(written.subject, max_words=SUBJECT_WORDS)
        facts = {"subject": subject, "keyword": slot.subject}
        keywords = usable_keywords(subject, [], written.keywords)
        if len(keywords) < FEWEST_KEYWORDS:
            raise UnusableTextError(f"only {len(keywords)} of the keywords about {subject!r} can be used")
    elif isinstance(written, WrittenKeywords):
        drawn = ability.subject_named(slot.subject)
        subject = drawn.name
        facts = {"subject": subject, "answer": drawn.answer, **dict(slot.words)}
        keywords = usable_keywords(subject, [word for _, word in slot.words], written.keywords)
    else:
        raise TypeError(f"{type(written).__name__} is no prompt")
    return {
        "prompt": prompt_of(subject, keywords),
        "subject": subject,
        "keywords": keywords,
        "facts": [{"name": name, "value": value} for name, value in facts.items()],
    }


def unwritten_columns(slot: Slot) -> PromptColumns:
    """The same columns of a row without a prompt."""
    return {"prompt": None, "subject": None, "keywords": [], "facts": [{"name": "keyword", "value": slot.subject}]}


def usable_keywords(subject: str, needed: Sequence[str], written: Sequence[str]) -> list[str]:
    """The required keywords, and then the usable ones of the model, without repeats, up to
    the length that a painter reads."""
    keywords: list[str] = []
    seen = {subject.casefold()}
    room = _PROMPT_CHARACTERS - len(subject) - 4
    for text in [*needed, *(part for phrase in written for part in phrase.split(","))]:
        try:
            keyword = clean_words(text, max_words=_KEYWORD_WORDS)
        except UnusableTextError:
            continue
        room -= len(keyword) + 2
        if keyword.casefold() in seen or room < 0 or len(keywords) == MOST_KEYWORDS:
            continue
        seen.add(keyword.casefold())
        keywords.append(keyword)
    return keywords
