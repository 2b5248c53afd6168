"""Turns a diagnosis into a brief: what the next batch of an ability should have more of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.brief import Brief, FailedQuestion
from stablellava_assets.evaluation.kinds import CONFUSION, EXPECTED, KIND, SUBJECT
from stablellava_assets.tables.score_rows import DiagnosisColumns

LEAST_WEIGHT, MOST_WEIGHT = 0.25, 4.0
"""Bounds of a subject's weight."""
MOST_CONFUSED = 8.0
"""Upper bound of the weight of a misleading answer; the lower one is 1."""
MOST_FAILED = 12
"""How many mistakes are told in words."""

_DOUBT = 1.0
"""Mistakes that are added to the observed and to the expected ones, so that few questions move a weight little."""
_DIGITS = 2


def brief_of(ability: Ability, diagnosis: Sequence[DiagnosisColumns]) -> Brief:
    """The brief that a diagnosis of ``ability`` leads to; nothing without mistakes.

    A subject's weight is the number of its mistakes relative to what the ability's mean would give, shrunk towards
    that of other subjects with its answer, and these towards 1. Its mistakes are wrong answers about it, and other
    things that were taken for it. The weight of a misleading answer is the number of times that the thing was taken for
    it, relative to what any pair of answers would give, shrunk towards 1.
    """
    return Brief(
        subjects=_subjects(ability, diagnosis), confused=_confused(ability, diagnosis), failed=_failed(diagnosis)
    )


def _subjects(ability: Ability, diagnosis: Sequence[DiagnosisColumns]) -> dict[str, float]:
    by_answer = Counter(subject.answer for subject in ability.drawn_subjects)
    taken_for: Counter[str] = Counter()
    for row in diagnosis:
        if row["taken_for"]:
            taken_for[row["taken_for"]] += row["wrong"]
    about = {row["value"]: (row["n"], row["wrong"]) for row in diagnosis if row["facet"] == SUBJECT}
    asked, mistakes = {}, {}
    for subject in ability.drawn_subjects:
        n, wrong = about.get(subject.name, (0, 0))
        asked[subject.name] = n
        mistakes[subject.name] = wrong + taken_for[subject.answer] / by_answer[subject.answer]
    if not sum(mistakes.values()) or not sum(asked.values()):
        return {}
    mean = sum(mistakes.values()) / sum(asked.values())
    weights = {}
    for subject in ability.drawn_subjects:
        name = subject.name
        others = [one.name for one in ability.drawn_subjects if one.answer == subject.answer and one.name != name]
        usual = _shrunk(sum(mistakes[one] for one in others), mean * sum(asked[one] for one in others))
        weight = round(_shrunk(mistakes[name], mean * asked[name], usual), _DIGITS)
        weights[name] = min(max(weight, LEAST_WEIGHT), MOST_WEIGHT)
    return {name: weight for name, weight in weights.items() if weight != 1}


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
