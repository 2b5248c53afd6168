"""Rules on whether the dialogue is about the subject of the image.

An answer that shares no word with its subject is rejected. One that names part of it ("a black limousine" for
``Black-car``) is kept and noted: nearly all such released answers are right. Of several expected words, an answer must
name each, in their order. An open answer about several images must name one of their subjects.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from stablellava_assets.abilities.absence import NO, NOT_SHOWN
from stablellava_assets.abilities.multi_image import ordinals
from stablellava_assets.abilities.prompt_format import keywords_of
from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.filters.findings import Finding, quoted
from stablellava_assets.filters.settings import DialogueRuleSettings
from stablellava_assets.text.conversations import expected_words
from stablellava_assets.text.word_forms import content_words, missing_words

_NAMES_NO_SUBJECT = frozenset({"yes_no", "negative_presupposition", NOT_SHOWN})
_LEAVES_OPEN = frozenset({"what", "misleading"})
_DENIES = re.compile(r"\b(?:no|not|none|nothing|nobody|neither|without|cannot)\b|n['’]t\b", re.IGNORECASE)


def unnamed_words(name: str, answer: str, other_names: Mapping[str, Sequence[str]]) -> list[str]:
    """The content words of ``name`` that ``answer`` contains neither in some form nor under another name."""
    return [
        word
        for word in missing_words(name, answer)
        if all(missing_words(other, answer) for other in other_names.get(word, ()))
    ]


def names_to_say(candidate: Candidate) -> list[str]:
    """What an answer must name: the expected words or, for open questions, the subjects; empty if it must say yes or
    no, or that something is not there."""
    if candidate.dialogue["question_kind"] in _NAMES_NO_SUBJECT:
        return []
    expected = candidate.dialogue["expected"]
    if expected is None:
        return list(dict.fromkeys(each.spec["subject"] for each in candidate.painted))
    # One word may be right for several images, and is then said once.
    return list(dict.fromkeys(expected_words(expected)))


def check_subject(candidate: Candidate, settings: DialogueRuleSettings) -> Iterator[Finding]:
    """All violations by the question, by an answer that does not name its subject, and by a missing yes or no."""
    yield from _check_question(candidate)
    answer = " ".join(candidate.answers)
    names = names_to_say(candidate)
    expected = candidate.dialogue["expected"]
    if names and expected is None:
        yield from _check_any_named(names, answer, settings)
    elif names:
        yield from _check_all_named(names, answer, settings)
    elif candidate.dialogue["question_kind"] == NOT_SHOWN:
        yield from _check_not_shown(candidate, (expected or "").removeprefix(NO), answer)
    elif candidate.dialogue["question_kind"] == "negative_presupposition":
        if not _DENIES.search(answer):
            yield Finding(
                "expected_missing", "The answer should deny what the question takes for granted and does not."
            )
    elif expected is not None and missing_words(expected, answer):
        yield Finding("expected_missing", f"The answer should say {expected!r} and does not.")


def _check_question(candidate: Candidate) -> Iterator[Finding]:
    """A question must not contain its answer. Options, except misleading ones, must include the answer."""
    kind, expected = candidate.dialogue["question_kind"], candidate.dialogue["expected"]
    if expected is None or not candidate.questions:
        return
    # The turns before the last question show images, and what they are about may be said again.
    question = candidate.questions[-1 if candidate.further else 0]
    if candidate.further and expected in ordinals(len(candidate.painted)):
        return
    if kind in _LEAVES_OPEN and not missing_words(expected, question):
        yield Finding("question_gives_answer", f"The question already says {expected!r}.")
    if kind == "either_or" and missing_words(expected, question):
        yield Finding("answer_not_offered", f"The question does not offer {expected!r}, which is right.")


def _check_not_shown(candidate: Candidate, thing: str, answer: str) -> Iterator[Finding]:
    """An answer must say that the ``thing`` is not there, and no prompt may ask for it."""
    if not thing or missing_words(thing, answer) or not _DENIES.search(answer):
        yield Finding("expected_missing", f"The answer should say that there is no {thing or 'such thing'}.")
    asked_for = (
        text
        for each in candidate.painted
        for text in (*keywords_of(each.spec["prompt"]), *(fact["value"] for fact in each.spec["facts"]))
    )
    if thing and (shown := next((text for text in asked_for if not missing_words(thing, text)), None)) is not None:
        yield Finding("thing_is_shown", f"The answer denies that there is a {thing}; the prompt asks for {shown!r}.")


def _check_any_named(names: Sequence[str], answer: str, settings: DialogueRuleSettings) -> Iterator[Finding]:
    """Violations by an ``answer`` that names none of ``names``, or none of them fully."""
    found = [list(check_naming(name, answer, settings)) for name in names]
    if all(found):
        yield from next((each for each in found if each[0].rule == "subject_partly_named"), found[0])


def _check_all_named(names: Sequence[str], answer: str, settings: DialogueRuleSettings) -> Iterator[Finding]:
    """Violations by an ``answer`` that does not name all of ``names``, or not in their order; one per rule."""
    found: dict[str, Finding] = {}
    for finding in (finding for name in names for finding in check_naming(name, answer, settings)):
        found.setdefault(finding.rule, finding)
    yield from found.values()
    if not found and len(names) > 1 and not _says_in_order(names, answer, settings):
        yield Finding("out_of_order", f"The answer should say {quoted(names)} in this order and does not.")


def _says_in_order(names: Sequence[str], answer: str, settings: DialogueRuleSettings) -> bool:
    words = answer.split()
    for name in names:
        # What a beginning says, every longer one says too.
        said = partial(_begins_with, words, name, settings.other_names)
        end = bisect_left(range(len(words) + 1), True, key=said)
        if end > len(words):
            return False
        words = words[end:]
    return True


def _begins_with(words: Sequence[str], name: str, other_names: Mapping[str, Sequence[str]], end: int) -> bool:
    """Whether the first ``end`` words say a name."""
    return not unnamed_words(name, " ".join(words[:end]), other_names)


def check_naming(name: str, answer: str, settings: DialogueRuleSettings) -> Iterator[Finding]:
    """Violations by an ``answer`` that names ``name`` only in part or not at all."""
    missing = unnamed_words(name, answer, settings.other_names)
    if not missing:
        return
    said = [word for word in content_words(name) if word not in missing]
    if said:
        explanation = f"Of {name!r} the answer says {quoted(said)} but not {quoted(missing)}."
        yield Finding("subject_partly_named", explanation)
    else:
        yield Finding("subject_not_named", f"No word of the answer is a form of {name!r}.")
