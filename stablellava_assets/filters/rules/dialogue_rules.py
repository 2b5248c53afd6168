"""Rules for a conversation on its own.

An answer that is empty, holds markup or control characters, or does not match its images' ``<image>`` marks would teach
a model to write the same, so it is rejected by default. Surrounding spaces and a missing full stop do not change the
meaning (chat templates strip spaces), and a hedge is a matter of taste: these are noted, and rejected only on request.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.filters.findings import Finding
from stablellava_assets.filters.settings import DialogueRuleSettings
from stablellava_assets.text.conversations import IMAGE_MARK, alternate, speakers_of

_FINAL = re.compile(r"[.!?…][\"'”’)]*$")
_MARKUP = re.compile(
    r"</?\w[^<>]*>|\[/?INST\]|\]\(|\*\*|^#{1,6} |^(?:USER|ASSISTANT|human|gpt):|```|https?://", re.MULTILINE
)


def check_dialogue(candidate: Candidate, settings: DialogueRuleSettings) -> Iterator[Finding]:
    """All violations by the conversation, in the order of ``findings.RowRule``."""
    turns = candidate.dialogue["conversations"]
    if not alternate(turns):
        explanation = f"The turns are {speakers_of(turns)}; they should be human, gpt, human, gpt."
        yield Finding("turns_malformed", explanation)
    marks = sum(question.count(IMAGE_MARK) for question in candidate.questions)
    pictures = len(candidate.dialogue["image_ids"])
    if marks != pictures:
        yield Finding("image_marks_mismatch", f"The questions hold {marks} {IMAGE_MARK} marks for {pictures} pictures.")
    yield from check_answers(candidate.answers, settings)


def check_answers(answers: Sequence[str], settings: DialogueRuleSettings) -> Iterator[Finding]:
    """All violations by the text of the answers."""
    if empty := [answer for answer in answers if not answer.strip()]:
        yield Finding("empty_answer", f"{len(empty)} of {len(answers)} answers are empty.")
    if markup := [found for answer in answers if (found := _markup(answer))]:
        yield Finding("answer_markup", f"The answer holds {markup[0]!r}, which is not text.")
    longest = max((len(answer.split()) for answer in answers), default=0)
    if longest > settings.max_answer_words:
        yield Finding("answer_too_long", f"The answer has {longest} words; {settings.max_answer_words} are allowed.")
    written = [answer for answer in answers if answer.strip()]
    if stray := [answer for answer in written if answer != answer.strip() or "  " in answer]:
        yield Finding("stray_spaces", f"The answer has spaces at its ends or twice in a row: {_start(stray[0])}.")
    if unfinished := [answer for answer in written if not _FINAL.search(answer.strip())]:
        yield Finding("no_final_punctuation", f"The answer ends without a full stop: {unfinished[0].strip()[-30:]!r}.")
    if hedges := sorted({word for answer in answers for word in _hedges(answer, settings.hedges)}):
        yield Finding("hedged_answer", f"The answer guesses: {', '.join(hedges)}.")


def _markup(answer: str) -> str | None:
    found = _MARKUP.search(answer)
    if found:
        return found[0]
    # Newlines and tabs are allowed; other control characters and U+FFFD indicate damage.
    if answer.isascii() and answer.isprintable():
        return None
    return next((c for c in answer if c == "\ufffd" or (unicodedata.category(c) == "Cc" and c not in "\n\t")), None)


def _hedges(answer: str, hedges: tuple[str, ...]) -> list[str]:
    return [word.casefold() for word in _any_of(hedges).findall(answer)] if hedges else []


@lru_cache(maxsize=16)
def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    # The month is no hedge: "May" within a sentence does not match; "may", and "May" as the first word, do.
    alternatives = "|".join(re.escape(word) for word in words)
    return re.compile(rf"\b(?:{alternatives})\b|^(?:{'|'.join(re.escape(word.capitalize()) for word in words)})\b")


def _start(text: str) -> str:
    return repr(text if len(text) <= 30 else f"{text[:27]}...")
