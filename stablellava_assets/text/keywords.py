"""Finds keywords in answers: whole words in any inflection, adjacent for longer keywords, in any Unicode form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from stablellava_assets.text.final_answer import final_answer, normalized
from stablellava_assets.text.word_forms import is_function_word, lemma, written_as_one

Span = tuple[int, int]
ALL_OF = "<AND>"
"""Separates keywords that must all occur, as in MM-Vet."""

_ARTICLE = re.compile(r"\A\s*(?:an?|the)\s+(?=\S)", re.IGNORECASE)
# "Isn't" is one word, and so are 3.14 and 1,400.
# In scripts without spaces between words, every character is a word.
_SIGN = r"\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_LETTER = rf"[^\W_{_SIGN}]"
_WORD = re.compile(
    rf"[{_SIGN}]|{_LETTER}*n[’']t(?!{_LETTER})|{_LETTER}+(?:(?<=\d)(?:\.(?=\d)|,(?=\d{{3}}(?!\d))){_LETTER}+)*",
    re.IGNORECASE,
)
_CLAUSE_END = re.compile(r"[.,;:!?…()\n—–。、]|\s-+\s")
_NEGATIONS = frozenset(
    {"no", "not", "cannot", "without", "neither", "nor", "never", "none", "不", "没", "沒", "非", "无", "無"}
)
_CONTRASTS = frozenset({"but"})
_REACH_OF_NEGATION = 3


def is_negation(word: str) -> bool:
    """Whether a case-folded word negates the words after it."""
    return word in _NEGATIONS or word.endswith("n't")


def words_of(text: str) -> list[str]:
    """The case-folded words of ``text``, in order; numbers and contractions with "not" are single words."""
    return list(_read(text).words)


def holds_words(keyword: str) -> bool:
    """Whether ``keyword`` can be found at all: each of its parts has a word."""
    return all(words_of(part) for part in keyword.split(ALL_OF))


def same_keyword(one: str, other: str) -> bool:
    """Whether two keywords match the same answers."""
    return bool(find_keyword(one, other) and find_keyword(other, one))


def find_keyword(keyword: str, answer: str) -> list[Span]:
    """Positions of ``keyword`` (without a leading article) in the words of ``answer``, as (first, last + 1)."""
    wanted, answer_words = _read(_ARTICLE.sub("", keyword)), _read(answer)
    ends = ((at, _end(wanted, answer_words, at)) for at in range(len(answer_words.words)) if wanted.words)
    return [(at, end) for at, end in ends if end is not None]


def find_affirmed(keyword: str, answer: str) -> list[Span]:
    """Like :func:`find_keyword`, without mentions right after a negation, such as "dog" in "There is no big dog"."""
    denied = _read(answer).denied
    return [span for span in find_keyword(keyword, answer) if not denied[span[0]]]


def holds_keywords(answer: str, groups: Sequence[Sequence[str]], refused: Sequence[str], *, in_order: bool) -> bool:
    """Whether a keyword of each group occurs without negation, and no refused one occurs unless
    it is part of one of these.

    For example, hat is part of top hat. A refused keyword also counts after a negation. ``in_order``: each group must
    be named after the group before it.
    """
    answer = final_answer(answer)
    found = [[span for keyword in group for span in _find_all(keyword, answer)] for group in groups]
    right = [span for spans in found for span in spans]
    wrong = [span for keyword in refused for span in find_keyword(keyword, answer)]
    return (
        all(found)
        and (not in_order or _follow_each_other(found))
        and all(any(start <= at and to <= end for start, end in right) for at, to in wrong)
    )


def names_last(answer: str, accepted: Sequence[str], refused: Sequence[str]) -> bool:
    """Whether an accepted keyword occurs without negation, and no refused one after it, or as part of a longer one."""
    answer = final_answer(answer)
    right = [(end, end - start) for keyword in accepted for start, end in _find_all(keyword, answer)]
    wrong = [(end, end - start) for keyword in refused for start, end in find_keyword(keyword, answer)]
    return bool(right) and max(right) >= max(wrong, default=(0, 0))


def _follow_each_other(found: Sequence[Sequence[Span]]) -> bool:
    """Whether a span can be chosen of each group so that every one begins after the one before it."""
    reached = 0
    for spans in found:
        ends = [end for start, end in spans if start >= reached]
        if not ends:
            return False
        reached = min(ends)
    return True


def _find_all(keyword: str, answer: str) -> list[Span]:
    found = [find_affirmed(part, answer) for part in keyword.split(ALL_OF)]
    return [span for spans in found for span in spans] if all(found) else []


class _Words(NamedTuple):
    """The words of a text, with the lemma of each, whether it is negated, and whether it may form
    a compound with the next word."""

    words: tuple[str, ...]
    lemmas: tuple[str, ...]
    denied: tuple[bool, ...]
    joins_next: tuple[bool, ...]


@lru_cache(maxsize=20_000)
def _read(text: str) -> _Words:
    text = normalized(text)
    found = list(_WORD.finditer(text))
    words = [match[0].casefold().replace("’", "'").replace(",", "") for match in found]
    gaps = [text[one.end() : other.start()] for one, other in pairwise(found)]
    return _Words(
        tuple(words),
        tuple(word if is_negation(word) else lemma(word) for word in words),
        tuple(_negated(words, gaps)),
        tuple(_may_form_compound(gap, *pair) for gap, pair in zip(gaps, pairwise(words), strict=True)),
    )


def _negated(words: Sequence[str], gaps: Sequence[str]) -> list[bool]:
    """For each word, whether a negation is among the few words before it in its clause."""
    denied: list[bool] = []
    reach = 0
    for word, gap in zip(words, ("", *gaps), strict=False):
        if _CLAUSE_END.search(gap) or word in _CONTRASTS:
            reach = 0
        denied.append(reach > 0)
        reach = _REACH_OF_NEGATION if is_negation(word) else reach - 1
    return denied


def _may_form_compound(gap: str, first: str, second: str) -> bool:
    """Whether two adjacent words of an answer may form a compound: T-shirt and fire truck, but not "is land"."""
    return gap == "-" or (gap == " " and not is_function_word(first) and not is_function_word(second))


def _end(wanted: _Words, answer_words: _Words, at: int) -> int | None:
    """The end of the words ``wanted`` if they begin at index ``at`` of ``answer_words``; None if they do not."""
    place = 0
    while place < len(wanted.words):
        if at >= len(answer_words.words):
            return None
        word, other = wanted.words[place], answer_words.words[at]
        if wanted.lemmas[place] == answer_words.lemmas[at]:
            place, at = place + 1, at + 1
        elif (
            at + 1 < len(answer_words.words)
            and answer_words.joins_next[at]
            and written_as_one(word, other, answer_words.words[at + 1])
        ):
            place, at = place + 1, at + 2
        elif place + 1 < len(wanted.words) and written_as_one(other, word, wanted.words[place + 1]):
            place, at = place + 2, at + 1
        else:
            return None
    return at
