"""What a model gets wrong: error rates by what images show and questions ask, and what is taken for what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from stablellava_assets.abilities.ability import QUESTION_KINDS, Ability, Subject
from stablellava_assets.abilities.catalog import AnyAbility
from stablellava_assets.abilities.group_questions import benchmark_wording
from stablellava_assets.abilities.group_view import GroupView
from stablellava_assets.abilities.groups import facts_in
from stablellava_assets.abilities.multi_image import MultiImageAbility
from stablellava_assets.abilities.placements import DISTANCES, POSITIONS
from stablellava_assets.abilities.prompt_format import parse_prompt
from stablellava_assets.abilities.questions import absent_subjects, keywords, read_benchmark_question
from stablellava_assets.evaluation.kinds import COMPARED_BY, CONFUSION, EXPECTED, FACETS, KIND, SUBJECT, WORDING
from stablellava_assets.evaluation.scores.statistics import wilson_interval
from stablellava_assets.evaluation.scores.yes_no import verdict_of
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.score_rows import AbilityAnswer, AnsweredItem, CheckpointDiagnosis, DiagnosisColumns
from stablellava_assets.text.final_answer import final_answer
from stablellava_assets.text.keywords import Span, find_affirmed


class _Key(NamedTuple):
    """What a row counts. Only confusions have a question kind, and something that an answer is taken for."""

    facet: str
    value: str
    kind: str = ""
    taken_for: str = ""


def diagnose(ability: AnyAbility, answered: Iterable[AnsweredItem]) -> list[DiagnosisColumns]:
    """Count the answers to benchmark items of one ability, and the wrong ones, by each facet of the items.

    A confusion is an answer (``value``) that was taken for another one of the ability: named instead, preferred to it
    in an either-or question, or affirmed where it was absent. Its ``n`` counts the questions of that kind in which this
    could have happened. Confusions that never happened have no row. Of an ability about several images, only kinds,
    wordings and what is compared are counted.
    """
    asked: Counter[_Key] = Counter()
    wrong: Counter[_Key] = Counter()
    for item in answered:
        for key, failed in _outcomes(ability, item):
            asked[key] += 1
            wrong[key] += failed
    keys = [key for key in asked if wrong[key] or key.facet != CONFUSION]
    keys.sort(key=lambda key: (FACETS.index(key.facet), key))
    return [_row(ability.ability, key, asked[key], wrong[key]) for key in keys]


def diagnosis_of(
    catalog: Mapping[str, AnyAbility],
    checkpoint_id: str,
    answers: Iterable[AbilityAnswer],
    prompts: Mapping[str, str | None],
) -> list[CheckpointDiagnosis]:
    """``ability_diagnosis`` rows without ``run_id``, from a tuned model's ``ability_answers`` rows and the prompts of
    their items by id."""
    by_ability: dict[str, list[AnsweredItem]] = {}
    for answer in answers:
        known: AnsweredItem = {
            "prompt": prompts.get(answer["item_id"]),
            "question_kind": answer["question_kind"],
            "question": answer["question"],
            "accepted": answer["accepted"],
            "answer": answer["answer"],
            "correct": answer["correct"],
        }
        by_ability.setdefault(answer["ability"], []).append(known)
    return [
        {
            "diagnosis_id": content_key(
                *(
                    "diagnosis",
                    checkpoint_id,
                    ability,
                    row["facet"],
                    row["value"],
                    row["question_kind"],
                    row["taken_for"],
                )
            ),
            "checkpoint_id": checkpoint_id,
            **row,
        }
        for ability, answered in sorted(by_ability.items())
        if ability in catalog
        for row in diagnose(catalog[ability], answered)
    ]


def _row(ability: str, key: _Key, n: int, wrong: int) -> DiagnosisColumns:
    low, high = wilson_interval(wrong, n)
    return {
        "ability": ability,
        "facet": key.facet,
        "value": key.value,
        "question_kind": key.kind or None,
        "taken_for": key.taken_for or None,
        "n": n,
        "wrong": wrong,
        "error_rate": wrong / n,
        "interval_low": low,
        "interval_high": high,
    }


def _outcomes(ability: AnyAbility, item: AnsweredItem) -> Iterator[tuple[_Key, bool]]:
    """What an answer tells about, and whether it failed there."""
    failed = not item["correct"]
    yield _Key(KIND, item["question_kind"]), failed
    if item["question_kind"] == "yes_no":
        yield _Key(EXPECTED, item["accepted"][0]), failed
    if isinstance(ability, MultiImageAbility):
        wording = benchmark_wording(ability, item["question_kind"], item["question"])
        if wording is not None:
            yield _Key(WORDING, wording), failed
        compared = _compared(ability, item)
        if compared is not None:
            yield _Key(COMPARED_BY, compared), failed
        return
    prompt = parse_prompt(item["prompt"] or "")
    subject = next((one for one in ability.drawn_subjects if one.name.lower() == prompt.subject.lower()), None)
    if subject is None:
        return  # Not painted, or from an ability that was edited since.
    yield _Key(SUBJECT, subject.name), failed
    for facet, values in _vocabulary(ability, subject).items():
        yield from ((_Key(facet, keyword), failed) for keyword in prompt.keywords if keyword in values)
    yield from _of_question(ability, subject, item)


def _compared(ability: MultiImageAbility, item: AnsweredItem) -> str | None:
    """What the images of an item are compared by; None if all groups are by the same, or the ability was edited."""
    if len(ability.images.compare) == 1 or not item["prompt"]:
        return None
    try:
        return GroupView(ability, [facts_in(ability, prompt) for prompt in item["prompt"].split("\n")]).compared
    except KeyError:
        return None


def _vocabulary(ability: Ability, subject: Subject) -> dict[str, list[str]]:
    """The values that keywords of a prompt may have, by facet."""
    return {
        "scene": [*ability.prompts.scenes, *([subject.scene] if subject.scene else [])],
        "style": ability.prompts.styles,
        "content": ability.prompts.contents,
        "position": list(POSITIONS),
        "distance": list(DISTANCES),
    }


def _of_question(ability: Ability, subject: Subject, item: AnsweredItem) -> Iterator[tuple[_Key, bool]]:
    """The wording, and every confusion that the question allows."""
    kind = next((kind for kind in QUESTION_KINDS if kind == item["question_kind"]), None)
    read = kind and read_benchmark_question(ability, subject, kind, item["question"])
    if kind is None or read is None:
        return
    failed = not item["correct"]
    yield _Key(WORDING, read.template), failed
    others = [one for one in absent_subjects(ability, subject) if kind == "what" or one.answer == read.misleading]
    said: set[str] = set()
    if failed and kind != "yes_no":
        said = _named(item["answer"], others)
    elif failed and verdict_of(item["answer"]) == "yes":
        said = {one.answer for one in others}  # Of what is absent, which is one thing at most.
    yield from ((_confusion(kind, subject, one.answer), one.answer in said) for one in others)


def _confusion(kind: str, shown: Subject, taken_for: str) -> _Key:
    return _Key(CONFUSION, shown.answer, kind, taken_for)


def _named(answer: str, subjects: Iterable[Subject]) -> set[str]:
    """The answers of the subjects that an answer names, less those only part of another, as in police car."""
    said = final_answer(answer)
    spans = [
        (span, one.answer) for one in subjects for keyword in keywords(one) for span in find_affirmed(keyword, said)
    ]
    return {name for span, name in spans if not any(_is_part(span, other) for other, _ in spans)}


def _is_part(span: Span, other: Span) -> bool:
    return other[0] <= span[0] and span[1] <= other[1] and span != other
