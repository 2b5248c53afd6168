"""Sanitizes text written by a model: it must remain plain data wherever it is displayed or sent.

A prompt consists of plain words, so everything else is removed. A sentence keeps its punctuation; markup, control
characters, role markers and the ``<image>`` mark are removed, and text that cannot be
repaired is rejected with a reason.
"""

from __future__ import annotations

import re
import unicodedata

_NOT_IN_WORDS = re.compile(r"[^\w '’&%.-]|_|\.(?!\d)|(?<!\d)\.")
_EDGES = " '’&.-"
_WEIGHT = re.compile(r":\s*\d+(?:\.\d+)?(?=\)|$)")
_TAG = re.compile(r"<\|[^|<>]*\|?>|</?\w[^<>]*>|\[/?INST\]|<</?SYS>>|\b(?:USER|ASSISTANT|SYSTEM|HUMAN|GPT):")
_ROLE = re.compile(r"^\s*(?:user|assistant|human|gpt|system|question|answer|q|a)\s*:\s*", re.IGNORECASE)
_MARKUP = re.compile(r"[*`#~|\\<>\[\]{}^_]+")
_ADDRESS = re.compile(r"\w+://|\bwww\.|\bdata:|\bjavascript:", re.IGNORECASE)
_NOT_SEEN = re.compile(r"\b(?:(?:the|this|your|given) prompt|bracketed|image prompt)\b", re.IGNORECASE)


class UnusableTextError(ValueError):
    """The model wrote text that cannot be used; the message is the row's reason."""


def clean_words(text: str, *, max_words: int, max_characters: int = 80) -> str:
    """Clean a subject or keyword: words of letters, digits, hyphens and apostrophes, separated by single spaces.

    Raises:
        UnusableTextError: no word is left, or the text is a sentence.
    """
    plain = _NOT_IN_WORDS.sub(" ", _WEIGHT.sub(" ", _TAG.sub(" ", _visible(text))))
    words = [word for part in plain.split() if any(map(str.isalnum, word := part.strip(_EDGES)))]
    if not any(character.isalpha() for word in words for character in word):
        raise UnusableTextError(f"{_shown(text)} names nothing")
    cleaned = " ".join(words)
    if len(words) > max_words or len(cleaned) > max_characters:
        raise UnusableTextError(f"{_shown(text)} is longer than {max_words} words or {max_characters} characters")
    return cleaned


def clean_sentence(text: str, *, what: str, max_characters: int) -> str:
    """Clean a question or an answer to one line of plain text.

    Raises:
        UnusableTextError: nothing is left, or the text is too long, contains an address, or refers to the prompt, which
            a reader of the pair never sees. ``what`` names the text in the message.
    """
    plain = _MARKUP.sub(" ", _TAG.sub(" ", _visible(text)))
    cleaned = " ".join(plain.split())
    while (shorter := _ROLE.sub("", cleaned)) != cleaned:
        cleaned = shorter
    cleaned = re.sub(r" (?=[.,;:!?])", "", cleaned)
    if not any(character.isalpha() for character in cleaned):
        raise UnusableTextError(f"the {what} is empty: {_shown(text)}")
    if len(cleaned) > max_characters:
        raise UnusableTextError(f"the {what} has {len(cleaned)} characters; {max_characters} are allowed")
    if (found := _ADDRESS.search(cleaned)) is not None:
        raise UnusableTextError(f"the {what} holds an address ({found[0]!r})")
    if (found := _NOT_SEEN.search(cleaned)) is not None:
        raise UnusableTextError(f"the {what} says {found[0]!r}, which nobody sees in the picture")
    return cleaned


def _visible(text: str) -> str:
    """``text`` in composed form, without control and format characters (such as those that
    change the writing direction)."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(
        " " if character.isspace() else character
        for character in composed
        if character.isspace() or (not unicodedata.category(character).startswith("C") and character != "\ufffd")
    )


def _shown(text: str) -> str:
    """The first plain words of a text, to quote in a reason."""
    plain = " ".join(re.sub(r"[^\w ]", " ", _visible(text)).split())
    return f"{plain[:40]!r}"
