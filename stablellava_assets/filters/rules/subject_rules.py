"""Rules on whether the dialogue is about the subject of the image.

An answer that shares no word with its subject is rejected. One that names part of it ("a black limousine" for
``Black-car``) is kept and noted: nearly all such released answers are right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.filters.findings import Finding, quoted
from stablellava_assets.filters.settings import DialogueRuleSettings
from stablellava_assets.text.word_forms import content_words, missing_words

_SAYS_YES_OR_NO = frozenset({"yes_no", "negative_presupposition"})
_LEAVES_OPEN = frozenset({"what", "misleading"})
_DENIES = re.compile(r"\b(?:no|not|none|nothing|nobody|neither|without|cannot)\b|n['’]t\b", re.IGNORECASE)


def unnamed_words(name: str, answer: str, other_names: Mapping[str, Sequence[str]]) -> list[str]:
    """The content words of ``name`` that ``answer`` contains neither in some form nor under another name."""
    return [
        word
        for word in missing_words(name, answer)
        if all(missing_words(other, answer) for other in other_names.get(word, ()))
    ]


def name_to_say(candidate: Candidate) -> str | None:
    """What an answer must name: the expected word or, for open questions, the subject; None if it must say yes or
    no."""
    if candidate.dialogue["question_kind"] in _SAYS_YES_OR_NO:
        return None
    expected = candidate.dialogue["expected"]
    return candidate.spec["subject"] if expected is None else expected


def check_subject(candidate: Candidate, settings: DialogueRuleSettings) -> Iterator[Finding]:
    """All violations by the question, by an answer that does not name its subject, and by a missing yes or no."""
    yield from _check_question(candidate)
    answer = " ".join(candidate.answers)
    name = name_to_say(candidate)
    expected = candidate.dialogue["expected"]
    if name is not None:
        yield from check_naming(name, answer, settings)
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
    question = candidate.questions[0]
    if kind in _LEAVES_OPEN and not missing_words(expected, question):
        yield Finding("question_gives_answer", f"The question already says {expected!r}.")
    if kind == "either_or" and missing_words(expected, question):
        yield Finding("answer_not_offered", f"The question does not offer {expected!r}, which is right.")


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
