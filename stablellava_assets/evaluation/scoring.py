"""Whether an answer is right, and what that makes of an ability: the paper's 0/1 keyword score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from stablellava_assets.evaluation.choices import chosen_option
from stablellava_assets.evaluation.keywords import holds_keyword
from stablellava_assets.evaluation.kinds import ASKED_KINDS
from stablellava_assets.evaluation.statistics import mcnemar_p_value, paired_difference, wilson_interval
from stablellava_assets.evaluation.verdicts import ALL, with_verdicts
from stablellava_assets.evaluation.yes_no import verdict_of, yes_no_figures
from stablellava_assets.tables.identity import content_key

__all__ = ["ALL", "answer_verdicts", "is_correct", "score_answers"]

CAPABILITIES = "+"
"""Joins the abilities of an item that takes several, as ``ocr+math``; it counts for each of them."""


def is_correct(
    answer: str, accepted: Sequence[str], refused: Sequence[str], kind: str, options: Sequence[str] = ()
) -> bool:
    """Score one answer 0/1 by keywords.

    Case, hyphens, punctuation and an article that begins a keyword do not count, inflections are the same word (cactus and
    cacti, ski and skiing), compounds may be written as one or apart (email and e-mail), and only whole words and numbers
    match, those of a longer keyword side by side. A yes-no answer is its first yes or no, an answer to a choice the option
    that it chooses. Any other answer must hold an accepted keyword that no word such as "not" denies, and no refused one,
    unless that is part of an accepted one, as hat is of top hat.

    Args:
        answer: what the model said.
        accepted: keywords of which one is wanted.
        refused: keywords that make an answer wrong.
        kind: one of ``ASKED_KINDS``.
        options: those of a choice, in the order in which they were offered.
    """
    if kind == "yes_no":
        return verdict_of(answer) in accepted
    if kind == "choice":
        return chosen_option(answer, options) in accepted
    return holds_keyword(answer, accepted, refused)


def score_answers(
    answers: Sequence[Mapping[str, Any]],
    judgements: Sequence[Mapping[str, Any]] = (),
    judged_kinds: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """``ability_scores`` rows, but for ``run_id``, from ``ability_answers`` rows of one or more checkpoints.

    A row for each model, ability and question kind that was asked, with ``all`` for the sums. Accuracies over
    ``all`` count every item alike; as the painted benchmark asks every ability equally often, they are macro means there.
    An item that was asked in several rotations is right if every answer is. Difference, p-values and verdict compare base
    and tuned over the items both answered, and stand in both models' rows; they are null where there are none.

    Args:
        answers: the answers.
        judgements: ``answer_judgements`` rows.
        judged_kinds: the kinds for which a judge's verdict counts; an item without one is ``unscored``, and not in ``n``.
    """
    grades = {row["answer_id"]: row for row in judgements if row["grade"] is not None}
    groups: dict[tuple[str, str, str, str], dict[str, dict[str, list[_Scored]]]] = {}
    for row in answers:
        scored = _scored(row, grades, judged_kinds)
        for ability in (*row["ability"].split(CAPABILITIES), ALL):
            for kind in (row["question_kind"], ALL):
                group = groups.setdefault((row["checkpoint_id"], row["benchmark"], ability, kind), {})
                group.setdefault(row["model"], {}).setdefault(row["item_id"], []).append(scored)
    return with_verdicts([score for key in sorted(groups, key=_order) for score in _scores(key, groups[key])])


def answer_verdicts(
    answers: Sequence[Mapping[str, Any]], judgements: Sequence[Mapping[str, Any]], judged_kinds: Sequence[str]
) -> list[bool | None]:
    """Of each answer whether it counts as right, None where a judge has yet to say; arguments as of :func:`score_answers`."""
    grades = {row["answer_id"]: row for row in judgements if row["grade"] is not None}
    return [_scored(row, grades, judged_kinds).correct for row in answers]


class _Scored(NamedTuple):
    """One answer: right, wrong or not known (None); its grade, and what it says of which truth, where these are asked."""

    correct: bool | None
    grade: float | None
    said: tuple[Any, Any] | None


def _scored(row: Mapping[str, Any], grades: Mapping[str, Mapping[str, Any]], judged_kinds: Sequence[str]) -> _Scored:
    if row["question_kind"] in judged_kinds:
        grade = grades.get(row["answer_id"])
        return _Scored(None, None, None) if grade is None else _Scored(grade["correct"], grade["grade"], None)
    said = (verdict_of(row["answer"]), row["accepted"][0]) if row["question_kind"] == "yes_no" else None
    return _Scored(row["correct"], None, said)


def _order(key: tuple[str, str, str, str]) -> tuple[Any, ...]:
    checkpoint, benchmark, ability, kind = key
    return checkpoint, benchmark, ability == ALL, ability, (*ASKED_KINDS, kind).index(kind)


def _scores(
    key: tuple[str, str, str, str], by_model: Mapping[str, Mapping[str, Sequence[_Scored]]]
) -> Iterator[dict[str, Any]]:
    checkpoint, benchmark, ability, kind = key
    known = {model: _known(items) for model, items in by_model.items()}
    compared = _compare(known.get("base", {}), known.get("tuned", {}))
    for model, results in sorted(known.items()):
        if not results:
            continue
        correct = sum(results.values())
        low, high = wilson_interval(correct, len(results))
        yield {
            "score_id": content_key("score", checkpoint, model, benchmark, ability, kind),
            "checkpoint_id": checkpoint,
            "model": model,
            "benchmark": benchmark,
            "ability": ability,
            "question_kind": kind,
            "n": len(results),
            "correct": correct,
            "accuracy": correct / len(results),
            "interval_low": low,
            "interval_high": high,
            **compared,
            **_figures(by_model[model], kind),
            "unscored": len(by_model[model]) - len(results),
        }


def _known(items: Mapping[str, Sequence[_Scored]]) -> dict[str, bool]:
    """The items whose every answer has a verdict, and whether they are right."""
    return {
        item: all(answer.correct for answer in answers)
        for item, answers in items.items()
        if all(answer.correct is not None for answer in answers)
    }


def _compare(base: Mapping[str, bool], tuned: Mapping[str, bool]) -> dict[str, float | None]:
    both = base.keys() & tuned.keys()
    if not both:
        return dict.fromkeys(("difference", "difference_low", "difference_high", "p_value"))
    only_base = sum(base[item] and not tuned[item] for item in both)
    only_tuned = sum(tuned[item] and not base[item] for item in both)
    difference = paired_difference(only_base, only_tuned, len(both))
    return {
        "difference": difference.estimate,
        "difference_low": difference.low,
        "difference_high": difference.high,
        "p_value": mcnemar_p_value(only_base, only_tuned),
    }


def _figures(items: Mapping[str, Sequence[_Scored]], kind: str) -> dict[str, Any]:
    """What is reported beside accuracy: POPE's figures of yes-no questions, the mean grade of judged ones."""
    answers = [answer for of_item in items.values() for answer in of_item]
    said = [answer.said for answer in answers if answer.said is not None] if kind == "yes_no" else []
    figures = yes_no_figures(said) if said else None
    grades = [answer.grade for answer in answers if answer.grade is not None]
    return {
        "precision": figures.precision if figures else None,
        "recall": figures.recall if figures else None,
        "f1": figures.f1 if figures else None,
        "yes_ratio": figures.yes_ratio if figures else None,
        "undecided": figures.undecided if figures else None,
        "mean_grade": sum(grades) / len(grades) if grades else None,
    }
