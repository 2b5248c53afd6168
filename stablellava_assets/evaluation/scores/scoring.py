"""Scores answers and aggregates them by ability: the paper's 0/1 keyword score."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from stablellava_assets.evaluation.answers.choices import chosen_option
from stablellava_assets.evaluation.kinds import ASKED_KINDS, CONTROLS, CONTROLS_OF_SEVERAL
from stablellava_assets.evaluation.scores.chance import chances_of
from stablellava_assets.evaluation.scores.several_images import MOST_OF_FIVE, is_graded_in_five
from stablellava_assets.evaluation.scores.statistics import (
    design_effect,
    paired_difference,
    paired_p_value,
    wilson_interval,
)
from stablellava_assets.evaluation.scores.verdicts import ALL, with_verdicts
from stablellava_assets.evaluation.scores.yes_no import Verdict, verdict_of, yes_no_figures
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.score_rows import (
    AbilityAnswer,
    AnswerJudgement,
    ComparedScore,
    JudgedScore,
    PairedDifference,
    ScoreFigures,
)
from stablellava_assets.text.keywords import holds_keywords, names_last

__all__ = ["ALL", "answer_verdicts", "is_correct", "score_answers"]

CAPABILITIES = "+"
"""Separates the abilities of an item that requires several, as in ``ocr+math``; it counts for each of them."""


def is_correct(
    answer: str,
    accepted: Sequence[str],
    refused: Sequence[str],
    kind: str,
    options: Sequence[str] = (),
    *,
    groups: Sequence[Sequence[str]] = (),
    in_order: bool = False,
    several_images: bool = False,
) -> bool:
    """Score one answer 0/1 by keywords.

    Case, hyphens, punctuation and an article before a keyword are ignored. Inflections count as the same word (cactus
    and cacti, ski and skiing), and compounds may be written as one word or two (email and e-mail). Only whole words and
    numbers match, and those of a longer keyword must be adjacent. A yes-no answer is scored by its first yes or no, an
    answer to a choice by the option that it chooses. Any other answer must contain an accepted keyword that is not
    negated, and no refused one unless it is part of an accepted one, as hat is of top hat.

    Args:
        answer: the model's answer.
        accepted: keywords, one of which must occur.
        refused: keywords that make an answer wrong.
        kind: one of ``ASKED_KINDS``.
        options: the options of a choice, in the order in which they were offered.
        groups: groups of keywords instead of ``accepted``, of each of which one must occur.
        in_order: whether the groups must be named in this order.
        several_images: whether the question is about several images. Answers then say what each of them shows before
            they choose, so that the option named last decides an either-or question.
    """
    if kind == "yes_no":
        return verdict_of(answer) in accepted
    if kind == "choice":
        return chosen_option(answer, options) in accepted
    if kind == "either_or" and several_images:
        return names_last(answer, accepted, refused)
    return holds_keywords(answer, groups or [accepted], refused, in_order=in_order)


def score_answers(
    answers: Sequence[AbilityAnswer],
    judgements: Sequence[AnswerJudgement] = (),
    judged_kinds: Sequence[str] = (),
) -> list[JudgedScore]:
    """``ability_scores`` rows without ``run_id``, from ``ability_answers`` rows of one or more checkpoints.

    There is one row per model, ability and question kind, with ``all`` for the totals, in which controls of several
    images are not counted. Accuracies over ``all`` weight
    items equally; since the synthesized benchmark asks each ability equally often, they are macro averages there. An
    item asked in several rotations is right if every answer is. Difference, p-values and verdict compare base and tuned
    model on the items that both answered, and are in both models' rows; they are null if there are none. Items about
    one image are not independent: intervals use the effective sample size, and the test compares images.

    Args:
        answers: the answers.
        judgements: ``answer_judgements`` rows.
        judged_kinds: the kinds for which a judge's verdict counts; an item without one is
            ``unscored``, and not in ``n``.
    """
    grades = {row["answer_id"]: row for row in judgements if row["grade"] is not None}
    groups: dict[tuple[str, str, str, str], dict[str, dict[str, list[_Scored]]]] = {}
    # Rows of earlier versions have no image id; each then counts as its own image.
    pictures = {row["item_id"]: row.get("picture") or row["item_id"] for row in answers}
    chances = chances_of(answers)
    for row in answers:
        is_control = row["model"] in CONTROLS
        if is_control and row["question_kind"] in judged_kinds:
            continue  # Controls are not graded, and keywords are another measure.
        scored = _scored(row, grades, judged_kinds)
        for ability in (*row["ability"].split(CAPABILITIES), *(() if row["model"] in CONTROLS_OF_SEVERAL else (ALL,))):
            for kind in (row["question_kind"], ALL):
                group = groups.setdefault((row["checkpoint_id"], row["benchmark"], ability, kind), {})
                group.setdefault(row["model"], {}).setdefault(row["item_id"], []).append(scored)
    return with_verdicts(
        [score for key in sorted(groups, key=_order) for score in _scores(key, groups[key], pictures, chances)]
    )


def answer_verdicts(
    answers: Sequence[AbilityAnswer], judgements: Sequence[AnswerJudgement], judged_kinds: Sequence[str]
) -> list[bool | None]:
    """Whether each answer is right, or None if a judge has yet to grade it; arguments as for :func:`score_answers`."""
    grades = {row["answer_id"]: row for row in judgements if row["grade"] is not None}
    return [_scored(row, grades, judged_kinds).correct for row in answers]


class _Scored(NamedTuple):
    """One answer: right, wrong or unknown (None); its grade; (said, true) for yes-no questions; points of five."""

    correct: bool | None
    grade: float | None
    said_and_true: tuple[Verdict | None, str] | None
    points: float | None


def _scored(row: AbilityAnswer, grades: Mapping[str, AnswerJudgement], judged_kinds: Sequence[str]) -> _Scored:
    graded = grades.get(row.get("answer_id", ""))
    grade = None if graded is None else graded["grade"]
    points = grade * MOST_OF_FIVE if grade is not None and is_graded_in_five(row) else None
    if row["question_kind"] in judged_kinds:
        return _Scored(None if graded is None else graded["correct"], grade, None, points)
    said_and_true = (verdict_of(row["answer"]), row["accepted"][0]) if row["question_kind"] == "yes_no" else None
    return _Scored(row["correct"], None, said_and_true, points)


def _order(key: tuple[str, str, str, str]) -> tuple[str, str, bool, str, int]:
    checkpoint, benchmark, ability, kind = key
    return checkpoint, benchmark, ability == ALL, ability, (*ASKED_KINDS, kind).index(kind)


def _scores(
    key: tuple[str, str, str, str],
    by_model: Mapping[str, Mapping[str, Sequence[_Scored]]],
    pictures: Mapping[str, str],
    chances: Mapping[str, float],
) -> Iterator[ComparedScore]:
    checkpoint, benchmark, ability, kind = key
    # Items that a judge has yet to grade for one model are left out for both, so that both
    # are scored on the same items.
    waiting = {
        item
        for items in by_model.values()
        for item, answers in items.items()
        if any(answer.correct is None for answer in answers)
    }
    graded = {
        model: {item: answers for item, answers in items.items() if item not in waiting}
        for model, items in by_model.items()
    }
    known = {
        model: {item: all(answer.correct for answer in answers) for item, answers in items.items()}
        for model, items in graded.items()
    }
    compared = _compare(known.get("base", {}), known.get("tuned", {}), pictures)
    for model, results in sorted(known.items()):
        if not results:
            continue
        correct, effect = sum(results.values()), design_effect(_by_picture(results, pictures))
        low, high = wilson_interval(correct / effect, len(results) / effect)
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
            **(_NOT_COMPARED if model in CONTROLS else compared),
            **_figures(graded[model], kind),
            "unscored": len(by_model[model]) - len(results),
            "chance": sum(chances[item] for item in results) / len(results)
            if results.keys() <= chances.keys()
            else None,
        }


def _by_picture(values: Mapping[str, int], pictures: Mapping[str, str]) -> Collection[list[int]]:
    """The values of items, one list per image."""
    grouped: dict[str, list[int]] = {}
    for item, value in values.items():
        grouped.setdefault(pictures[item], []).append(value)
    return grouped.values()


_NOT_COMPARED: PairedDifference = {
    "difference": None,
    "difference_low": None,
    "difference_high": None,
    "p_value": None,
}


def _compare(base: Mapping[str, bool], tuned: Mapping[str, bool], pictures: Mapping[str, str]) -> PairedDifference:
    gained = {item: tuned[item] - base[item] for item in base if item in tuned}
    if not gained:
        return _NOT_COMPARED
    by_picture = _by_picture(gained, pictures)
    effect, values = design_effect(by_picture), list(gained.values())
    difference = paired_difference(values.count(-1) / effect, values.count(1) / effect, len(values) / effect)
    return {
        "difference": difference.estimate,
        "difference_low": difference.low,
        "difference_high": difference.high,
        "p_value": paired_p_value(map(sum, by_picture)),
    }


def _figures(items: Mapping[str, Sequence[_Scored]], kind: str) -> ScoreFigures:
    """Figures besides accuracy: POPE's figures of yes-no questions, and the mean grades of judged ones."""
    answers = [answer for of_item in items.values() for answer in of_item]
    said_and_true = (
        [answer.said_and_true for answer in answers if answer.said_and_true is not None] if kind == "yes_no" else []
    )
    figures = yes_no_figures(said_and_true) if said_and_true else None
    grades = [answer.grade for answer in answers if answer.grade is not None]
    points = [answer.points for answer in answers if answer.points is not None]
    return {
        "precision": figures.precision if figures else None,
        "recall": figures.recall if figures else None,
        "f1": figures.f1 if figures else None,
        "yes_ratio": figures.yes_ratio if figures else None,
        "undecided": figures.undecided if figures else None,
        "mean_grade": sum(grades) / len(grades) if grades else None,
        "mean_points": sum(points) / len(points) if points else None,
    }
