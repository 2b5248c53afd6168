"""Turns a diagnosis into a brief: what the next batch of an ability should have more of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.brief import Brief, FailedQuestion
from stablellava_assets.abilities.catalog import AnyAbility
from stablellava_assets.abilities.multi_image import MultiImageAbility
from stablellava_assets.evaluation.kinds import COMPARED_BY, CONFUSION, EXPECTED, KIND, SUBJECT
from stablellava_assets.tables.score_rows import DiagnosisColumns

LEAST_WEIGHT, MOST_WEIGHT = 0.25, 4.0
"""Bounds of the weight of a subject, or of what images are compared by."""
MOST_CONFUSED = 8.0
"""Upper bound of the weight of a misleading answer; the lower one is 1."""
MOST_FAILED = 12
"""How many mistakes are told in words."""
MOST_NAMED = 8
"""How many weights of a sort are named in a text."""

_DOUBT = 1.0
"""Mistakes that are added to the observed and to the expected ones, so that few questions move a weight little."""
_OF_NAMED = 0.5
"""What it counts for a subject that another one was taken for it, in mistakes about it."""
_DIGITS = 2


def brief_of(ability: AnyAbility, diagnosis: Sequence[DiagnosisColumns], confusions: bool = False) -> Brief:
    """The brief that a diagnosis of ``ability`` leads to; nothing without mistakes.

    A subject's weight is the number of its mistakes relative to what the ability's mean would give, shrunk towards
    that of other subjects with its answer, and these towards 1. Its mistakes are wrong answers about it.

    With ``confusions``, other things that were taken for it count as well, by half. Then questions also mislead by what
    a thing was taken for: the weight of an answer is the number of times that this happened, relative to what any pair
    of answers would give, shrunk towards 1.

    Of an ability about several images, the brief weighs what the images of a group are compared by in the same way.
    """
    if isinstance(ability, MultiImageAbility):
        return Brief(compared=_compared(ability, diagnosis))
    weighed = diagnosis if confusions else [row for row in diagnosis if row["facet"] != CONFUSION]
    return Brief(subjects=_subjects(ability, weighed), confused=_confused(ability, weighed), failed=_failed(diagnosis))


def brief_text(brief: Brief) -> str:
    """What a brief asks for, as text: the strongest weights."""
    weights = sorted((-weight, name) for name, weight in brief.subjects.items())
    compared = sorted((-weight, aspect) for aspect, weight in brief.compared.items())
    pairs = sorted((-weight, shown, other) for shown, of in brief.confused.items() for other, weight in of.items())
    parts = {
        "drawn more often": [f"{name} ({-weight:g})" for weight, name in weights if -weight > 1],
        "drawn less often": [f"{name} ({-weight:g})" for weight, name in reversed(weights) if -weight < 1],
        "compared more often": [f"{aspect} ({-weight:g})" for weight, aspect in compared if -weight > 1],
        "compared less often": [f"{aspect} ({-weight:g})" for weight, aspect in reversed(compared) if -weight < 1],
        "misled more often by what it was taken for": [f"{shown} by {other} ({-w:g})" for w, shown, other in pairs],
    }
    text = "; ".join(f"{what}: {_listed(named)}" for what, named in parts.items() if named)
    return text[:1].upper() + text[1:]


def _listed(named: Sequence[str]) -> str:
    further = len(named) - MOST_NAMED
    return ", ".join(named[:MOST_NAMED]) + (f" and {further} more" if further > 0 else "")


def _subjects(ability: Ability, diagnosis: Sequence[DiagnosisColumns]) -> dict[str, float]:
    subjects = ability.drawn_subjects
    about = {row["value"]: (row["n"], row["wrong"]) for row in diagnosis if row["facet"] == SUBJECT}
    named: Counter[str] = Counter()
    for row in diagnosis:
        if row["taken_for"]:
            named[row["taken_for"]] += row["wrong"]
    asked = sum(n for n, _ in about.values())
    if not asked:
        return {}
    error_rate = sum(wrong for _, wrong in about.values()) / asked
    usually_named = _OF_NAMED * named.total() / len(subjects)
    by_answer: defaultdict[str, list[str]] = defaultdict(list)
    for subject in subjects:
        by_answer[subject.answer].append(subject.name)
    observed, expected = {}, {}
    for subject in subjects:
        n, wrong = about.get(subject.name, (0, 0))
        observed[subject.name] = wrong + _OF_NAMED * named[subject.answer] / len(by_answer[subject.answer])
        expected[subject.name] = error_rate * n + usually_named
    weights = {}
    for subject in subjects:
        others = [name for name in by_answer[subject.answer] if name != subject.name]
        usual = _shrunk(sum(observed[one] for one in others), sum(expected[one] for one in others))
        weights[subject.name] = _bounded(_shrunk(observed[subject.name], expected[subject.name], usual))
    return {name: weight for name, weight in weights.items() if weight != 1}


def _compared(ability: MultiImageAbility, diagnosis: Sequence[DiagnosisColumns]) -> dict[str, float]:
    about = {row["value"]: (row["n"], row["wrong"]) for row in diagnosis if row["facet"] == COMPARED_BY}
    asked = sum(n for n, _ in about.values())
    error_rate = sum(wrong for _, wrong in about.values()) / asked if asked else 0.0
    weights = {
        aspect: _bounded(_shrunk(wrong, error_rate * n))
        for aspect in ability.images.compare
        for n, wrong in [about.get(aspect, (0, 0))]
    }
    return {aspect: weight for aspect, weight in weights.items() if weight != 1}


def _bounded(weight: float) -> float:
    return min(max(round(weight, _DIGITS), LEAST_WEIGHT), MOST_WEIGHT)


def _confused(ability: Ability, diagnosis: Sequence[DiagnosisColumns]) -> dict[str, dict[str, float]]:
    confusions = [row for row in diagnosis if row["facet"] == CONFUSION]
    of_kind = {row["value"]: row["n"] for row in diagnosis if row["facet"] == KIND}
    absent = sum(row["n"] for row in diagnosis if (row["facet"], row["value"]) == (EXPECTED, "no"))
    # How many pairs of answers the questions of a kind allow to be confused.
    possible = {
        "what": of_kind.get("what", 0) * (len(ability.answers) - 1),
        "yes_no": absent,
        "either_or": of_kind.get("either_or", 0),
    }
    happened: Counter[str] = Counter()
    for row in confusions:
        happened[row["question_kind"] or ""] += row["wrong"]
    observed: Counter[tuple[str, str]] = Counter()
    expected: defaultdict[tuple[str, str], float] = defaultdict(float)
    for row in confusions:
        kind, pair = row["question_kind"] or "", (row["value"], row["taken_for"] or "")
        observed[pair] += row["wrong"]
        expected[pair] += row["n"] * happened[kind] / possible[kind]
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for (shown, other), count in sorted(observed.items()):
        weight = round(_shrunk(count, expected[shown, other]), _DIGITS)
        if weight > 1:
            found[shown][other] = min(weight, MOST_CONFUSED)
    return dict(found)


def _shrunk(observed: float, expected: float, usual: float = 1.0) -> float:
    """The ratio of observed to expected mistakes, shrunk towards ``usual``."""
    return (observed + _DOUBT * usual) / (expected + _DOUBT)


def _failed(diagnosis: Sequence[DiagnosisColumns]) -> list[FailedQuestion]:
    failed = [
        FailedQuestion(
            kind=row["question_kind"] or "", shown=row["value"], said=row["taken_for"] or "", times=row["wrong"]
        )
        for row in diagnosis
        if row["facet"] == CONFUSION
    ]
    return sorted(failed, key=lambda one: (-one.times, one.kind, one.shown, one.said))[:MOST_FAILED]
