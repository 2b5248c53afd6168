"""Does the dialogue speak of what the picture was painted to show?

An answer that shares no word with its subject is rejected. One that names a part of it ("a black limousine" for ``Black-car``)
is kept and noted: among the released answers nearly all of these are right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.filters.findings import Finding
from stablellava_assets.filters.settings import DialogueRuleSettings
from stablellava_assets.filters.subject_naming import content_words, missing_words


def unnamed_words(name: str, answer: str, other_names: Mapping[str, Sequence[str]]) -> list[str]:
    """The content words of ``name`` that ``answer`` says neither in some form nor by another name."""
    return [
        word
        for word in missing_words(name, answer)
        if all(missing_words(other, answer) for other in other_names.get(word, ()))
    ]


def name_to_say(candidate: Candidate) -> str | None:
    """What an answer must name: the expected word or, in an open question, the subject; None for yes and no."""
    if candidate.dialogue["question_kind"] == "yes_no":
        return None
    expected = candidate.dialogue["expected"]
    return str(candidate.spec["subject"] if expected is None else expected)


def check_subject(candidate: Candidate, settings: DialogueRuleSettings) -> Iterator[Finding]:
    """What is held against the answers for not naming their subject, or not saying yes or no when asked."""
    answer = " ".join(candidate.answers)
    name = name_to_say(candidate)
    expected = candidate.dialogue["expected"]
    if name is not None:
        yield from check_naming(name, answer, settings)
    elif expected is not None and missing_words(expected, answer):
        yield Finding("expected_missing", f"The answer should say {expected!r} and does not.")


def check_naming(name: str, answer: str, settings: DialogueRuleSettings) -> Iterator[Finding]:
    """What is held against ``answer`` for naming ``name`` not at all, or in part."""
    missing = unnamed_words(name, answer, settings.other_names)
    if not missing:
        return
    said = [word for word in content_words(name) if word not in missing]
    if said:
        explanation = f"Of {name!r} the answer says {_listed(said)} but not {_listed(missing)}."
        yield Finding("subject_partly_named", explanation)
    else:
        yield Finding("subject_not_named", f"No word of the answer is a form of {name!r}.")


def _listed(words: Sequence[str]) -> str:
    return ", ".join(repr(word) for word in words)
