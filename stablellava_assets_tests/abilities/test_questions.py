"""Questions: true, balanced, grammatical, and stable when a template elsewhere is edited."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from stablellava_assets.abilities.ability import QUESTION_KINDS, Ability, QuestionKind, Subject
from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets.abilities.questions import (
    Question,
    absent_subjects,
    benchmark_question,
    keywords,
    training_question,
)

CATALOG = load_catalog()
WAYS: tuple[tuple[QuestionKind, bool | None], ...] = (
    ("what", None),
    ("yes_no", True),
    ("yes_no", False),
    ("either_or", None),
)


def _asked(ability: Ability, rows: int = 6) -> list[tuple[Subject, Question]]:
    return [
        (subject, ask(ability, subject, kind, subject.name, row, present=present))
        for subject in ability.drawn_subjects
        for row in range(rows)
        for kind, present in WAYS
        for ask in (training_question, benchmark_question)
    ]


def _reworded(ability: Ability, line: str) -> Ability:
    edited = ability.model_dump(exclude_unset=True)
    wordings: list[str] = edited["questions"]["what"]["ask"]
    wordings[wordings.index(line)] = f"{line} Now"
    return Ability.model_validate(edited)


def _shortened(ability: Ability, *names: str) -> Ability:
    content: dict[str, Any] = ability.model_dump(exclude_unset=True)
    content["subjects"] = [subject for subject in content["subjects"] if subject["name"] in names]
    return Ability.model_validate(content)


@pytest.mark.parametrize("ability", CATALOG.single.values(), ids=list(CATALOG.single))
class TestEveryAbility:
    def test_an_answer_satisfies_its_own_keywords(self, ability: Ability) -> None:
        for _, question in _asked(ability):
            answer = question.answer.lower()
            assert any(keyword.lower() in answer for keyword in question.accepted), question
            assert question.expected in question.accepted

    def test_what_is_said_to_be_absent_is_absent(self, ability: Ability) -> None:
        for subject, question in _asked(ability):
            if question.kind == "either_or":
                assert sorted(question.options) == sorted([question.expected, question.refused[0]])
                assert not set(question.refused) & set(keywords(subject)), question
        for subject in ability.drawn_subjects:
            absent = [other.answer for other in absent_subjects(ability, subject)]
            assert absent
            assert not set(absent) & set(keywords(subject))
            assert len(absent) == len(set(absent))

    def test_no_slot_is_left_and_sentences_are_sentences(self, ability: Ability) -> None:
        for _, question in _asked(ability):
            for sentence in (question.text, question.answer):
                assert not set("{}") & set(sentence)
                assert "  " not in sentence
                assert sentence[0].isupper()
                assert sentence[-1] in ".?!"

    def test_either_option_comes_first_equally_often(self, ability: Ability) -> None:
        orders = Counter(
            question.options[0] == question.expected
            for _, question in _asked(ability, rows=240 // len(ability.drawn_subjects) + 1)
            if question.kind == "either_or"
        )
        assert abs(orders[True] - orders[False]) < 0.2 * orders.total()


def test_yes_and_no_are_what_the_caller_asks_for() -> None:
    animal = CATALOG.single["animal"]
    lion = animal.subject_named("lion")
    there = training_question(animal, lion, "yes_no", "row", present=True)
    not_there = training_question(animal, lion, "yes_no", "row", present=False)
    assert "lion" in there.text
    assert (there.expected, there.accepted, there.refused) == ("yes", ("yes",), ("no",))
    assert "lion" not in not_there.text
    assert (not_there.expected, not_there.accepted, not_there.refused) == ("no", ("no",), ("yes",))
    assert not_there.answer == "It is a lion, so no."


def test_every_absent_answer_is_asked_about() -> None:
    animal = CATALOG.single["animal"]
    lion = animal.subject_named("lion")
    offered = Counter(
        option
        for row in range(600)
        for option in training_question(animal, lion, "either_or", row, present=None).options
        if option != "lion"
    )
    assert set(offered) == set(animal.answers) - {"lion"}
    assert max(offered.values()) < 3 * min(offered.values())


def test_a_word_that_is_part_of_a_right_answer_is_not_offered_as_wrong() -> None:
    vehicle = CATALOG.single["vehicle"]
    absent = [other.answer for other in absent_subjects(vehicle, vehicle.subject_named("fire engine"))]
    assert "truck" not in absent
    assert "bus" in absent


def test_two_names_of_one_answer_are_not_set_against_each_other() -> None:
    furniture = CATALOG.single["furniture"]
    for name in ("sofa", "couch"):
        absent = absent_subjects(furniture, furniture.subject_named(name))
        assert {"sofa", "couch"}.isdisjoint(other.answer for other in absent)


def test_articles_fit_plurals_and_masses() -> None:
    clothes, food, animal = CATALOG.single["clothes"], CATALOG.single["food"], CATALOG.single["animal"]
    jeans = training_question(clothes, clothes.subject_named("jeans"), "what", 1, present=None)
    sushi = training_question(food, food.subject_named("sushi"), "yes_no", 1, present=True)
    elephant = training_question(animal, animal.subject_named("elephant"), "yes_no", 1, present=True)
    assert jeans.answer == "The picture shows jeans."
    assert sushi.answer == "It is sushi, so yes."
    assert elephant.answer == "It is an elephant, so yes."


def test_a_tinted_thing_keeps_its_thing_when_another_color_is_asked() -> None:
    color = CATALOG.single["color"]
    for subject in color.drawn_subjects:
        question = training_question(color, subject, "yes_no", subject.name, present=False)
        assert subject.details["thing"] in question.text
        assert subject.answer not in question.text


def test_editing_a_wording_moves_only_the_questions_that_used_or_now_use_it() -> None:
    animal = CATALOG.single["animal"]
    line = animal.questions.what.ask[1]
    edited = _reworded(animal, line)
    moved = 0
    for (_, before), (_, after) in zip(_asked(animal), _asked(edited), strict=True):
        if before != after:
            assert before.text == line or after.text == f"{line} Now"
            moved += 1
    assert 0 < moved < len(_asked(animal)) / 4


def test_removing_a_subject_moves_only_the_questions_that_offered_it() -> None:
    animal = CATALOG.single["animal"]
    lion = animal.subject_named("lion")
    fewer = _shortened(animal, *(name for name in animal.answers if name != "zebra"))
    for row in range(200):
        before = training_question(animal, lion, "either_or", row, present=None)
        after = training_question(fewer, lion, "either_or", row, present=None)
        assert before == after or "zebra" in before.options


@pytest.mark.parametrize(("kind", "present"), [("what", True), ("either_or", False), ("yes_no", None)])
def test_presence_is_asked_for_with_yes_no_and_only_there(kind: Any, present: bool | None) -> None:
    assert kind in QUESTION_KINDS
    animal = CATALOG.single["animal"]
    with pytest.raises(ValueError, match=f"present={present} with a {kind} question"):
        training_question(animal, animal.subject_named("lion"), kind, 1, present=present)


def test_an_ability_in_which_nothing_can_mislead_says_so() -> None:
    furniture = _shortened(CATALOG.single["furniture"], "cabinet", "chair")
    filing = furniture.subject_named("cabinet").model_copy(update={"accepted": ["chair"]})
    with pytest.raises(ValueError, match=r"furniture.*cabinet.*add subjects"):
        training_question(furniture, filing, "either_or", 1, present=None)
