"""Fills an ability's question templates: questions about an image, and their accepted answers.

Every choice is a rendezvous hash of the caller's seed parts and the options, so that editing one template, or adding
one subject, affects only the questions that use the old or the new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import permutations, product
from typing import NamedTuple

from stablellava_assets.abilities.ability import Ability, QuestionKind, Subject
from stablellava_assets.tables.identity import choose, choose_weighted


@dataclass(frozen=True)
class Question:
    """One question about an image of a known subject.

    A right answer contains at least one of the ``accepted`` keywords and none of the ``refused`` ones. ``expected`` is
    the word in question, or yes or no; ``options`` are the two words of an either-or question in the order offered.
    """

    kind: QuestionKind
    text: str
    answer: str
    expected: str
    options: tuple[str, ...]
    accepted: tuple[str, ...]
    refused: tuple[str, ...]


def training_question(
    ability: Ability, subject: Subject, kind: QuestionKind, *parts: object, present: bool | None
) -> Question:
    """A question in a training wording about an image of ``subject``.

    Args:
        ability: source of templates and subjects.
        subject: the subject of the image.
        kind: the question kind.
        parts: JSON-serializable seed parts, usually the row's id.
        present: for yes_no, whether the thing in question is present; None for other kinds.

    Raises:
        ValueError: ``present`` does not match ``kind``, or the ability has no subject that could mislead here.
    """
    return _fill(ability, subject, kind, getattr(ability.questions, kind).ask, parts, present)


def benchmark_question(
    ability: Ability, subject: Subject, kind: QuestionKind, *parts: object, present: bool | None
) -> Question:
    """Like :func:`training_question`, in a wording that training never uses; its answer is in the training form."""
    return _fill(ability, subject, kind, getattr(ability.benchmark, kind), parts, present)


class BenchmarkWording(NamedTuple):
    """The template of a benchmark question, and the answer by which it misleads, if it does."""

    template: str
    misleading: str | None


def read_benchmark_question(
    ability: Ability, subject: Subject, kind: QuestionKind, text: str
) -> BenchmarkWording | None:
    """How :func:`benchmark_question` worded a question about an image of ``subject``; None if it did not word it."""
    named: list[tuple[str | None, dict[str, Subject]]] = []
    if kind == "what":
        named.append((None, {}))
    elif kind == "yes_no":
        named.append((None, {"candidate": subject}))
    for other in () if kind == "what" else absent_subjects(ability, subject):
        if kind == "yes_no":
            named.append((other.answer, {"candidate": other}))
        else:
            pairs = permutations((subject, other))
            named += [(other.answer, {"first": first, "second": second}) for first, second in pairs]
    for (misleading, slots), template in product(named, getattr(ability.benchmark, kind)):
        if _sentence(template, _slots(subject, **slots)) == text:
            return BenchmarkWording(template, misleading)
    return None


def affirmation(ability: Ability, subject: Subject) -> tuple[str, str]:
    """The question whether an image shows ``subject`` in the ability's first training wording, and the answer yes."""
    templates, slots = ability.questions.yes_no, _slots(subject, candidate=subject)
    return _sentence(templates.ask[0], slots), _sentence(templates.yes[0], slots)


def keywords(subject: Subject) -> tuple[str, ...]:
    """The words that name ``subject`` in an answer, the expected one first."""
    return tuple(dict.fromkeys([subject.answer, *subject.accepted]))


def absent_subjects(ability: Ability, subject: Subject) -> list[Subject]:
    """One subject for each other answer that is wrong for an image of ``subject``.

    An answer whose keywords contain, or are contained in, those of ``subject`` is left out: for a police car,
    "car" is not wrong.
    """
    others = {other.answer: other for other in reversed(ability.drawn_subjects)}
    named = keywords(subject)
    return [others[answer] for answer in ability.answers if not _overlap(keywords(others[answer]), named)]


def _fill(
    ability: Ability,
    subject: Subject,
    kind: QuestionKind,
    wordings: list[str],
    parts: tuple[object, ...],
    present: bool | None,
) -> Question:
    if (present is None) != (kind != "yes_no"):
        raise ValueError(f"present={present} with a {kind} question: give True or False for yes_no, None otherwise")
    wording = choose(wordings, *parts, kind, "wording")
    if kind == "what":
        return _what(ability, subject, wording, parts)
    if kind == "either_or":
        return _either_or(ability, subject, wording, parts)
    return _yes_no(ability, subject, wording, parts, bool(present))


def _what(ability: Ability, subject: Subject, wording: str, parts: tuple[object, ...]) -> Question:
    slots = _slots(subject)
    return Question(
        kind="what",
        text=_sentence(wording, slots),
        answer=_sentence(choose(ability.questions.what.answer, *parts, "what", "answer"), slots),
        expected=subject.answer,
        options=(),
        accepted=keywords(subject),
        refused=(),
    )


def _yes_no(ability: Ability, subject: Subject, wording: str, parts: tuple[object, ...], present: bool) -> Question:
    candidate = subject if present else _misleading(ability, subject, *parts, "yes_no")
    slots = _slots(subject, candidate=candidate)
    answers = ability.questions.yes_no.yes if present else ability.questions.yes_no.no
    expected, opposite = ("yes", "no") if present else ("no", "yes")
    return Question(
        kind="yes_no",
        text=_sentence(wording, slots),
        answer=_sentence(choose(answers, *parts, "yes_no", "answer"), slots),
        expected=expected,
        options=(),
        accepted=(expected,),
        refused=(opposite,),
    )


def _either_or(ability: Ability, subject: Subject, wording: str, parts: tuple[object, ...]) -> Question:
    other = _misleading(ability, subject, *parts, "either_or")
    right_first = choose(("right first", "right second"), *parts, "either_or", "order") == "right first"
    first, second = (subject, other) if right_first else (other, subject)
    slots = _slots(subject, first=first, second=second)
    return Question(
        kind="either_or",
        text=_sentence(wording, slots),
        answer=_sentence(choose(ability.questions.either_or.answer, *parts, "either_or", "answer"), slots),
        expected=subject.answer,
        options=(first.answer, second.answer),
        accepted=keywords(subject),
        refused=keywords(other),
    )


def _misleading(ability: Ability, subject: Subject, *parts: object) -> Subject:
    others = {other.answer: other for other in absent_subjects(ability, subject)}
    if not others:
        raise ValueError(f"ability {ability.ability!r}: every answer is also right for {subject.name!r}; add subjects")
    weights = ability.brief.confused.get(subject.answer, {})
    return others[choose_weighted(list(others), weights, *parts, "misleading")]


def _slots(subject: Subject, **others: Subject) -> dict[str, str]:
    """Template slots by name; a subject's ``details`` describe the image, even if another subject is offered."""
    slots = dict(subject.details)
    for name, named in {"subject": subject, **others}.items():
        slots |= {name: named.answer, f"a_{name}": named.with_article()}
    return slots


def _sentence(template: str, slots: Mapping[str, str]) -> str:
    text = template.format(**slots)
    return text[0].upper() + text[1:]


@cache
def _overlap(ours: tuple[str, ...], theirs: tuple[str, ...]) -> bool:
    return any(_contains(mine, other) or _contains(other, mine) for mine in ours for other in theirs)


def _contains(phrase: str, part: str) -> bool:
    """Whether ``part`` occurs in ``phrase`` as whole words."""
    return f" {part.lower()} " in f" {phrase.lower()} "
