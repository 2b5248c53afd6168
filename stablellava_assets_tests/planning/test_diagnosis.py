"""What a model gets wrong, and the brief that follows from it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from stablellava_assets.abilities.ability import QUESTION_KINDS, Ability, QuestionKind
from stablellava_assets.abilities.brief import Brief, FailedQuestion
from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets.abilities.group_questions import benchmark_question as group_question
from stablellava_assets.abilities.group_questions import kinds_of
from stablellava_assets.abilities.group_view import GroupView
from stablellava_assets.abilities.groups import DrawnGroup, draw_group, facts_in
from stablellava_assets.abilities.multi_image import MultiImageAbility
from stablellava_assets.abilities.prompts import draw_prompt
from stablellava_assets.abilities.questions import Question, absent_subjects, benchmark_question
from stablellava_assets.evaluation.kinds import FACETS
from stablellava_assets.evaluation.scores.scoring import is_correct
from stablellava_assets.planning.briefs import brief_of
from stablellava_assets.planning.diagnosis import diagnose
from stablellava_assets.tables.score_rows import AnsweredItem, DiagnosisColumns

ANIMAL = load_catalog().single["animal"]


def right(asked: Question, shown: str) -> str:
    return asked.answer


def answered(ability: Ability, said: Callable[[Question, str], str], per_kind: int = 120) -> list[AnsweredItem]:
    """Questions as the benchmark asks them, and what ``said`` answers to each, given the subject that is shown."""
    items: list[AnsweredItem] = []
    for kind in QUESTION_KINDS:
        for index in range(per_kind):
            items.append(answer_to(ability, kind, index, said))
    return items


def answer_to(ability: Ability, kind: QuestionKind, index: int, said: Callable[[Question, str], str]) -> AnsweredItem:
    prompt = draw_prompt(ability, kind, index)
    present = index % 2 == 0 if kind == "yes_no" else None
    asked = benchmark_question(ability, ability.subject_named(prompt["subject"]), kind, index, present=present)
    text = said(asked, prompt["subject"])
    return {
        "prompt": prompt["prompt"],
        "question_kind": kind,
        "question": asked.text,
        "accepted": list(asked.accepted),
        "answer": text,
        "correct": is_correct(text, asked.accepted, asked.refused, kind),
    }


def of_facet(rows: list[DiagnosisColumns], facet: str) -> dict[str, tuple[int, int]]:
    return {row["value"]: (row["wrong"], row["n"]) for row in rows if row["facet"] == facet}


def takes_lions_for_tigers(asked: Question, shown: str) -> str:
    """As somebody who has never seen a lion."""
    if shown != "lion":
        return asked.answer
    if asked.kind == "yes_no":
        return "Yes." if "tiger" in asked.text else "It is a tiger, so no."
    return "It is a tiger." if asked.kind == "what" or "tiger" in asked.options else asked.answer


def test_every_facet_counts_every_item_once() -> None:
    rows = diagnose(ANIMAL, answered(ANIMAL, right))
    assert {row["facet"] for row in rows} == {*FACETS} - {"style", "content", "compared", "confusion"}
    for facet in ("question_kind", "subject", "scene", "position", "distance", "wording"):
        counted = of_facet(rows, facet)
        assert sum(n for _, n in counted.values()) == 360, facet
        assert sum(wrong for wrong, _ in counted.values()) == 0, facet
    assert of_facet(rows, "expected") == {"yes": (0, 60), "no": (0, 60)}
    assert brief_of(ANIMAL, rows) == Brief()


def test_what_is_taken_for_what_is_counted_with_the_questions_that_allow_it() -> None:
    items = answered(ANIMAL, takes_lions_for_tigers)
    rows = diagnose(ANIMAL, items)
    lions = [item for item in items if item["prompt"] is not None and item["prompt"].startswith("((lion))")]
    assert of_facet(rows, "subject")["lion"] == (sum(not item["correct"] for item in lions), len(lions))
    confusions = {(row["question_kind"], row["value"], row["taken_for"]): row for row in rows if row["taken_for"]}
    asked_what = [item for item in lions if item["question_kind"] == "what"]
    named = confusions["what", "lion", "tiger"]
    assert (named["wrong"], named["n"]) == (len(asked_what), len(asked_what))
    assert named["interval_low"] < named["error_rate"] == named["interval_high"] == 1.0
    assert {(shown, other) for _, shown, other in confusions} == {("lion", "tiger")}


def test_a_brief_follows_the_mistakes_within_bounds() -> None:
    rows = diagnose(ANIMAL, answered(ANIMAL, takes_lions_for_tigers, per_kind=400))
    brief = brief_of(ANIMAL, rows, confusions=True)
    assert brief.subjects["lion"] == max(brief.subjects.values()) == 4.0
    assert brief.subjects["tiger"] > 1, "what is named wrongly is to be seen more often too"
    assert min(brief.subjects.values()) >= 0.25
    assert brief.confused.keys() == {"lion"}
    assert 1 < brief.confused["lion"]["tiger"] <= 8
    assert brief.failed[0] == FailedQuestion(
        kind="what", shown="lion", said="tiger", times=of_kind(rows, "what")["lion", "tiger"]
    )


def of_kind(rows: list[DiagnosisColumns], kind: str) -> dict[tuple[str, str], int]:
    return {
        (row["value"], row["taken_for"]): row["wrong"]
        for row in rows
        if row["taken_for"] and row["question_kind"] == kind
    }


def test_a_brief_tells_nothing_of_a_benchmark_item() -> None:
    items = answered(ANIMAL, takes_lions_for_tigers)
    told = brief_of(ANIMAL, diagnose(ANIMAL, items)).model_dump_json()
    assert not any(item["question"] in told or (item["prompt"] or "") in told for item in items)


def test_few_questions_move_a_weight_little() -> None:
    few, many = (
        brief_of(ANIMAL, diagnose(ANIMAL, answered(ANIMAL, takes_lions_for_tigers, per_kind)), confusions=True)
        for per_kind in (20, 400)
    )
    assert few.subjects.get("lion", 1) < many.subjects["lion"]
    assert few.confused.get("lion", {}).get("tiger", 1) < many.confused["lion"]["tiger"]


def test_subjects_with_one_answer_lend_each_other_their_mistakes() -> None:
    color = load_catalog().single["color"]
    shown = {subject.name: subject.answer for subject in color.drawn_subjects}
    wrong = next(iter(shown.values()))

    def never_red(asked: Question, subject: str) -> str:
        return asked.answer if shown[subject] != wrong or asked.kind != "what" else "No idea."

    weights = brief_of(color, diagnose(color, answered(color, never_red, per_kind=200))).subjects
    assert all(weights[name] > 1 for name, answer in shown.items() if answer == wrong)


@pytest.mark.parametrize("name", sorted(load_catalog().single))
def test_every_benchmark_question_is_read_back(name: str) -> None:
    ability = load_catalog().single[name]
    items = answered(ability, right, per_kind=12)
    rows = diagnose(ability, items)
    assert sum(n for _, n in of_facet(rows, "wording").values()) == len(items)
    always_yes = [
        {**item, "answer": "Yes.", "correct": item["accepted"] == ["yes"]}
        for item in items
        if item["question_kind"] == "yes_no"
    ]
    taken = [row for row in diagnose(ability, always_yes) if row["facet"] == "confusion"]  # type: ignore[arg-type]
    assert sum(row["wrong"] for row in taken) == 6
    for row in taken:
        shown = next(one for one in ability.drawn_subjects if one.answer == row["value"])
        assert row["taken_for"] in {other.answer for other in absent_subjects(ability, shown)}


def about_groups(
    ability: MultiImageAbility, knows: Callable[[GroupView], bool], per_kind: int = 12
) -> list[AnsweredItem]:
    """Questions about groups as the benchmark asks them, answered right where ``knows`` says so."""
    items: list[AnsweredItem] = []
    for kind, index in product(kinds_of(ability), range(per_kind)):
        present = index % 2 == 0 if kind == "yes_no" else None
        prompts = draw_group(ability, kind, index).prompts
        facts = [{fact["name"]: fact["value"] for fact in prompt["facts"]} for prompt in prompts]
        if (asked := group_question(ability, facts, kind, index, present=present)) is not None:
            known = knows(GroupView(ability, facts))
            items.append(
                {
                    "prompt": "\n".join(prompt["prompt"] for prompt in prompts),
                    "question_kind": kind,
                    "question": asked.text,
                    "accepted": list(asked.accepted_groups[0]),
                    "answer": asked.answer if known else "",
                    "correct": known,
                }
            )
    return items


@pytest.mark.parametrize("name", sorted(load_catalog().multi_image))
def test_of_several_images_kinds_wordings_and_what_is_compared_are_counted(name: str) -> None:
    ability = load_catalog().multi_image[name]
    items = about_groups(ability, lambda group: False)
    rows = diagnose(ability, items)
    compared = ["compared"] if len(ability.images.compare) > 1 else []
    assert {row["facet"] for row in rows} - {"expected"} == {"question_kind", "wording", *compared}
    for facet in ("question_kind", "wording", *compared):
        assert sum(n for _, n in of_facet(rows, facet).values()) == len(items) > 0


@pytest.mark.parametrize("name", sorted(load_catalog().multi_image))
def test_the_facts_of_a_group_are_read_back_from_its_prompts(name: str) -> None:
    ability = load_catalog().multi_image[name]
    for index in range(200):
        for prompt in draw_group(ability, index).prompts:
            assert facts_in(ability, prompt["prompt"]) == {fact["name"]: fact["value"] for fact in prompt["facts"]}


def test_groups_are_compared_more_often_by_what_is_not_seen() -> None:
    ability = load_catalog().multi_image["difference"]
    items = about_groups(ability, lambda group: group.compared != "position", per_kind=60)
    rows = diagnose(ability, items)
    wrong, asked = of_facet(rows, "compared")["position"]
    assert wrong == asked > 0
    brief = brief_of(ability, rows)
    assert brief.compared["position"] == max(brief.compared.values()) > 2
    assert brief.subjects == {}
    drawn = [draw_group(briefed, "batch", index) for briefed in [ability.with_brief(brief)] for index in range(300)]
    usual = [draw_group(ability, "batch", index) for index in range(300)]
    assert sum(map(compares_position, drawn)) > 1.5 * sum(map(compares_position, usual))
    kept = [one for one, other in zip(drawn, usual, strict=True) if one == other]
    assert len(kept) > sum(map(compares_position, usual)), "what has the same weight is drawn as before"
    assert brief_of(ability, diagnose(ability, about_groups(ability, lambda group: True))) == Brief()


def compares_position(drawn: DrawnGroup) -> bool:
    return len({fact["value"] for each in drawn.prompts for fact in each["facts"] if fact["name"] == "position"}) > 1
