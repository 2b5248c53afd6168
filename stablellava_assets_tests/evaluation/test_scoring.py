"""What counts as a right answer, and the rows made of it."""

from __future__ import annotations

import itertools

import pytest

from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets.abilities.questions import absent_subjects, keywords
from stablellava_assets.evaluation.scores.scoring import is_correct, score_answers
from stablellava_assets_tests.evaluation.answers import answers


@pytest.mark.parametrize(
    ("answer", "accepted", "refused", "right"),
    [
        ("It is a koala.", ["koala"], [], True),
        ("KOALA", ["koala"], [], True),
        ("It is a panda.", ["koala"], [], False),
        ("", ["koala"], [], False),
        ("There are two cacti.", ["cactus"], [], True),
        ("Purple irises.", ["iris"], [], True),
        ("The person skis downhill.", ["skiing"], [], True),
        ("A yellow cornflower", ["yellow-cornflower"], [], True),
        ("A T-shirt.", ["t shirt"], [], True),
        ("A carrot.", ["car"], [], False),
        ("A boat at a jetty.", ["jet"], [], False),
        ("A police car.", ["police car"], [], True),
        ("The police stopped a car.", ["police car"], [], False),
        ("A grey cat.", ["gray", "grey"], [], True),
        ("It is a cat, not a dog.", ["cat"], ["dog"], False),
        ("It is a top hat.", ["top hat"], ["hat"], True),
        ("It is a police car.", ["car"], ["police car"], False),
        ("It is a hat, a top hat.", ["top hat"], ["hat"], False),
        ("It is the tram.", ["a tram"], [], True),
        ("It is the A-frame house.", ["A-frame"], [], True),
        ("A picture frame.", ["A-frame"], [], False),
        ("An e-mail.", ["email"], [], True),
        ("Emails.", ["e-mail"], [], True),
        ("A T-shirt.", ["tshirt"], [], True),
        ("Two fire trucks.", ["firetruck"], [], True),
        ("Two firetrucks.", ["a fire truck"], [], True),
        ("It is land.", ["island"], [], False),
        ("It is a plant or a tree.", ["planter"], [], False),
        ("It is 3.14.", ["3.14"], [], True),
        ("It is 3.14.", ["14"], [], False),
        ("It is 3.14.", ["3"], [], False),
        ("1,400 people.", ["400"], [], False),
        ("1,400 people.", ["1400"], [], True),
        ("There are 2.", ["2"], [], True),
        ("1,2,3", ["2"], [], True),
    ],
)
def test_keywords(answer: str, accepted: list[str], refused: list[str], right: bool) -> None:
    assert is_correct(answer, accepted, refused, "either_or") is right


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("There is no dog.", False),
        ("It is not a dog.", False),
        ("There isn't a dog.", False),
        ("There isn’t a dog.", False),
        ("I cannot see any dog.", False),
        ("A street without a dog.", False),
        ("Neither a dog nor a cat.", False),
        ("It has never been a dog.", False),
        ("A cat, not a dog.", False),
        ("Not a cat but a dog.", True),
        ("It isn't a cat. It is a dog.", True),
        ("No, a dog.", True),
        ("There is no dog, but the dog's bowl.", True),
        ("Not every one of them is a dog.", True),
        ("A knot, a dog.", True),
    ],
)
def test_a_keyword_right_behind_a_negation_is_not_said(answer: str, right: bool) -> None:
    assert is_correct(answer, ["dog"], [], "what") is right


def test_negations_are_words_of_keywords_too() -> None:
    assert is_correct("There is no dog.", ["no dog"], [], "what")
    assert not is_correct("It isn't there.", ["is"], [], "what")


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("Yes, it is a koala.", True),
        ("yes", True),
        ("No, yes would be wrong.", False),
        ("Well, yes; there is no doubt.", True),
        ("No.", False),
        ("Yesterday it was.", False),
        ("It is a koala.", False),
    ],
)
def test_the_first_yes_or_no_decides(answer: str, right: bool) -> None:
    assert is_correct(answer, ["yes"], ["no"], "yes_no") is right


def test_no_subject_of_the_catalog_passes_for_another() -> None:
    for ability in load_catalog().single.values():
        for subject in ability.drawn_subjects:
            assert is_correct(subject.with_article(), keywords(subject), [], "what")
            for other in absent_subjects(ability, subject):
                said = f"It is {other.with_article()}."
                assert not is_correct(said, keywords(subject), [], "what"), (ability.ability, subject.name, said)
                assert is_correct(said, keywords(other), keywords(subject), "either_or"), (subject.name, other.name)


def test_scores_of_abilities_kinds_and_all() -> None:
    rows = [
        *answers("0000100000", "1111111110", "animal", "what"),
        *answers("01", "11", "animal", "yes_no"),
        *answers("0000", "0011", "color", "what"),
    ]
    scores = {(row["model"], row["ability"], row["question_kind"]): row for row in score_answers(rows)}
    assert len(scores) == 2 * (3 + 2 + 3)
    assert (scores["tuned", "animal", "what"]["correct"], scores["tuned", "animal", "what"]["n"]) == (9, 10)
    assert scores["tuned", "animal", "all"]["accuracy"] == pytest.approx(11 / 12)
    assert scores["base", "all", "all"]["n"] == 16
    assert scores["tuned", "all", "what"]["correct"] == 11
    # Eight items only the tuned model answers, none only the base: 2 / 2^8.
    assert scores["base", "animal", "what"]["p_value"] == scores["tuned", "animal", "what"]["p_value"] == 2 / 256
    assert len({row["score_id"] for row in scores.values()}) == len(scores)


def test_rows_come_ability_by_ability_with_the_sums_last() -> None:
    rows = score_answers([*answers("01", "11", "color", "what"), *answers("01", "11", "animal", "what")])
    order = [ability for ability, _ in itertools.groupby(row["ability"] for row in rows)]
    assert order == ["animal", "color", "all"]
    assert score_answers([]) == []


def test_yes_no_rows_hold_the_figures_of_pope() -> None:
    rows = [*answers("1100", "1101", "animal", "yes_no"), *answers("1", "1", "animal", "what")]
    scores = {(row["model"], row["question_kind"]): row for row in score_answers(rows) if row["ability"] == "animal"}
    base = scores["base", "yes_no"]
    assert (base["precision"], base["recall"], base["yes_ratio"], base["undecided"]) == (0.5, 1.0, 1.0, 0)
    assert base["f1"] == pytest.approx(2 / 3)
    assert scores["base", "what"]["precision"] is None
    assert scores["base", "all"]["precision"] is None
