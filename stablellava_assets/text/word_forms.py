"""Decides whether an answer names its subject.

String comparison is not enough: 3,603 answers in StableLLaVA's released data do not contain their subject verbatim, and
nearly all of them are right ("Yellow-daisy": "yellow daisies"; "diver": "dives into"). Words are therefore compared, in
any order and with gaps, by their lemma (simplemma's English dictionary knows "cacti" and "knives") or by a shared stem:
equal beginnings followed by English endings, which matches words with different lemmas ("diver", "dives").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

_WORD = re.compile(r"[^\W_]+")
_FUNCTION_WORD = re.compile(
    r"an?|the|some|of|in|on|at|to|for|with|and|or|from|by|into|over|under|up|out|off|is|are|its|his|her|their|s"
)
_LIGHT_VERB = re.compile(r"do|does|doing|did|mak(e|es|ing)|tak(e|es|ing)|have|having|get|getting")
_ENDING = re.compile(
    r"(s|es|ed|ers?|en|e|ings?|ors?|y|ies|i|ists?|ians?|ions?|al|ally|ic|ical|ly|ial|ive|ments?|e?ry|ters?|ations?"
    r"|ative|ant|ance)?"
)
_ENDING_AFTER_E = re.compile(r"d|rs?")
_ENDING_OF_SHORT_STEM = re.compile(r"(s|ing|ers?)?")
_VOICED = ({"f", "ves"}, {"fe", "ves"})
# A person who plays the piano is a pianist. "o" alone is no ending, or a cello would be a cell.
_PLAYER, _PLAYED = re.compile(r"(.{3,})ists?"), re.compile(r"(.{3,})os?")
_PERSON = re.compile(r"(.{3,}?)(?:m[ae]n|wom[ae]n|persons?|people)")
"""Words for a person with a job, regardless of gender: a policewoman matches a policeman."""
_SHORTEST_STEM = 3
_SHORTEST_PART = 3
_SHORTEST_CLIPPING = 5


def content_words(text: str) -> list[str]:
    """The case-folded words of ``text`` that carry meaning; all of its words if none does."""
    words = [word.casefold() for word in _WORD.findall(text)]
    named = [word for word in words if not is_function_word(word)]
    # "Doing a magic trick" is about the trick: answers may say "performing" instead.
    return [word for word in named if not _LIGHT_VERB.fullmatch(word)] or named or words


def lemmas(text: str) -> list[str]:
    """The lemma of every word of ``text``, in order."""
    return [lemma(word.casefold()) for word in _WORD.findall(text)]


def is_function_word(word: str) -> bool:
    """Whether a case-folded word is an article, a preposition or the like."""
    return _FUNCTION_WORD.fullmatch(word) is not None


def written_as_one(word: str, first: str, second: str) -> bool:
    """Whether ``word`` is the compound of ``first`` and ``second``, as "bookshelves" is of
    "book shelf"; all case-folded."""
    rest = word.removeprefix(first)
    return 0 < len(rest) < len(word) and lemma(rest) == lemma(second)


def missing_words(subject: str, answer: str) -> list[str]:
    """The content words of ``subject`` that share no lemma or stem with a word of ``answer``."""
    answer_words = [word.casefold() for word in _WORD.findall(answer)]
    words = content_words(subject)
    missing = [word for word in words if word not in answer_words and not _is_named(word, answer_words)]
    joined = [pair for pair in pairwise(words) if _is_named("".join(pair), answer_words)] if missing else []
    return [word for word in missing if not any(word in pair for pair in joined)]


def swaps_a_word(one: str, other: str) -> bool:
    """Whether each text has a dictionary word that the other lacks in any form, as "river" and "riverbank";
    "8k" is not a dictionary word."""
    words, others = set(content_words(one)), set(content_words(other))
    own = [word for word in words - others if _is_word(word)]
    theirs = [word for word in others - words if _is_word(word)]
    return bool(own and theirs) and not any(same_word(word, their) for word in own for their in theirs)


def _is_named(word: str, answer_words: Sequence[str]) -> bool:
    if any(
        same_word(word, other) or _is_head_of(word, other) or _is_clipping_of(word, other) for other in answer_words
    ):
        return True
    # Compounds are written as two words as often as one: "armchair" and "arm chair".
    return any(same_word(word, first + second) for first, second in pairwise(answer_words))


@lru_cache(maxsize=200_000)
def same_word(one: str, other: str) -> bool:
    """Whether two case-folded words are forms of one word, by lemma or by stem."""
    if one == other or lemma(one) == lemma(other) or _share_stem(one, other):
        return True
    return _have_same_job(one, other) or _is_player_of(one, other)


def named_as_a_person(name: str, answer: str) -> bool:
    """Whether ``answer`` has a word of ``name`` in a form used only for people: doing a job, or playing an
    instrument."""
    answer_words = [word.casefold() for word in _WORD.findall(answer)]
    return any(
        _have_same_job(word, other) or _is_player_of(word, other)
        for word in content_words(name)
        for other in answer_words
        if word != other
    )


def _have_same_job(one: str, other: str) -> bool:
    """Whether two words name a person with the same job, such as policeman and policewomen."""
    first, second = _PERSON.fullmatch(one), _PERSON.fullmatch(other)
    return first is not None and second is not None and first[1] == second[1]


def _is_player_of(one: str, other: str) -> bool:
    """Whether one word names the player of the other, as pianist and piano."""
    for player, played in ((one, other), (other, one)):
        who, what = _PLAYER.fullmatch(player), _PLAYED.fullmatch(played)
        if who is not None and what is not None and who[1] == what[1]:
            return True
    return False


@lru_cache(maxsize=200_000)
def _is_head_of(word: str, other: str) -> bool:
    """Whether ``word`` is the head of the compound ``other``, as "tub" is of "bathtub", but "ring" not of "spring"."""
    first = other.removesuffix(word) if other.endswith(word) else other.removesuffix(f"{word}s")
    return _SHORTEST_PART <= len(first) < len(other) and _is_word(first)


@lru_cache(maxsize=200_000)
def _is_clipping_of(word: str, other: str) -> bool:
    """Whether ``word`` is a clipping of ``other``: "rhino" is one of "rhinoceros", but "grape" not of "grapefruit"."""
    rest = other.removeprefix(word)
    return len(word) >= _SHORTEST_CLIPPING and _SHORTEST_PART <= len(rest) < len(other) and not _is_word(rest)


@lru_cache(maxsize=200_000)
def _is_word(word: str) -> bool:
    import simplemma

    return bool(simplemma.is_known(word, lang="en"))


@lru_cache(maxsize=100_000)
def lemma(word: str) -> str:
    """The dictionary form of a case-folded word; the word itself if no dictionary has it."""
    import simplemma

    return str(simplemma.lemmatize(word, lang="en")).casefold()


def _share_stem(one: str, other: str) -> bool:
    shared = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        shared += 1
    # A shared beginning may overlap the endings ("meditating", "meditative"), so shorter stems are tried as well.
    return any(
        (_is_ending(one, length) and _is_ending(other, length)) or {one[length:], other[length:]} in _VOICED
        for length in range(shared, _SHORTEST_STEM - 1, -1)
    )


def _is_ending(word: str, stem: int) -> bool:
    """Whether the letters after the first ``stem`` are an English ending, possibly with a doubled consonant."""
    rest, last = word[stem:], word[stem - 1]
    if last == "e" and _ENDING_AFTER_E.fullmatch(rest):
        return True
    ending = _ENDING_OF_SHORT_STEM if stem == _SHORTEST_STEM else _ENDING
    return bool(ending.fullmatch(rest) or (len(rest) > 1 and rest[0] == last and ending.fullmatch(rest[1:])))
