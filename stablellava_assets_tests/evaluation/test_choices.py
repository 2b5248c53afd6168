"""Which option an answer chooses, and that it must be chosen wherever it stands."""

from __future__ import annotations

import pytest

from stablellava_assets.evaluation.choices import choice_question, chosen_option, rotated
from stablellava_assets.evaluation.scoring import score_answers

OPTIONS = ["a cat", "a dog", "a cat tree", "houses"]


@pytest.mark.parametrize(
    ("answer", "chosen"),
    [
        ("B", "a dog"),
        ("B.", "a dog"),
        (" (C) a cat tree", "a cat tree"),
        ("**D**", "houses"),
        ("The answer is B.", "a dog"),
        ("Answer: C", "a cat tree"),
        ("I would take option D, since the roof is red.", "houses"),
        ("It must be (B), not the others.", "a dog"),
        ("A dog is in the picture.", "a dog"),
        ("A cat tree", "a cat tree"),
        ("There is a house in the picture.", "houses"),
        ("A dog and a house.", None),
        ("A bird.", None),
        ("E", None),
        ("The answer is a cat.", "a cat"),
        ("", None),
    ],
)
def test_chosen_options(answer: str, chosen: str | None) -> None:
    assert chosen_option(answer, OPTIONS) == chosen


@pytest.mark.parametrize(
    "answer",
    [
        "b",
        "(b)",
        "b.",
        '"B"',
        "B - a dog",
        "B. A dog",
        "B, since C is wrong.",
        "B\nA cat is not there.",
        "B is correct.",
        "Option B is correct.",
        "Option A is wrong, option B is right.",
        "The answer is B because there are two.",
        "The correct answer is B since it barks.",
        "The answer to this question is B.",
        "The answer is clearly B!",
        "The answer is B, not A.",
        "The answer is letter B.",
        "The correct choice would be B.",
        "The correct letter is B",
        "Answer: B because",
        "**Answer:** B",
        "Answer is B\nExplanation: it barks.",
        "A: a cat\nB: a dog\nAnswer: B",
        "It's B.",
        "I choose B.",
        "I would go with B, since it barks.",
    ],
)
def test_a_letter_is_read_in_a_sentence(answer: str) -> None:
    assert chosen_option(answer, OPTIONS) == "a dog"


@pytest.mark.parametrize(
    "answer",
    [
        "A, B",
        "A and B",
        "A/B",
        "(A) and (B)",
        "The answer is A or B.",
        "Option A or option B.",
        "The answer is not B.",
        "It's not B.",
        "Not option B.",
        "Option B isn't right.",
        "B is wrong.",
        "The man is in A building.",
        "Answer: A building.",
    ],
)
def test_what_names_no_letter_or_two(answer: str) -> None:
    assert chosen_option(answer, OPTIONS) is None


@pytest.mark.parametrize("answer", ["a", "A.", "A is correct.", "Answer: A because", "Option A shows it.", "It's A."])
def test_an_a_that_is_no_article_is_a_letter(answer: str) -> None:
    assert chosen_option(answer, OPTIONS) == "a cat"


def test_a_pronoun_and_an_abbreviation_are_no_letters() -> None:
    nine = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    assert chosen_option("I see two.", nine) == "two"
    assert chosen_option("i.e. two", nine) == "two"
    assert chosen_option("The answer I see is two.", nine) == "two"
    assert chosen_option("I", nine) == "nine"


@pytest.mark.parametrize(
    ("answer", "options", "chosen"),
    [
        ("space suit", ["a kimono", "a space suit"], "a space suit"),
        ("The face", ["its tail", "its face"], "its face"),
        ("cat", OPTIONS, "a cat"),
        ("A cat and dog.", OPTIONS, None),
        ("Her hat.", ["his hat", "her hat"], "her hat"),
        ("It is not a cat.", OPTIONS, None),
        ("It is a cat, not a dog.", OPTIONS, "a cat"),
        ("3.14", ["14", "3.14"], "3.14"),
        ("E. It is a dog", OPTIONS, "a dog"),
    ],
)
def test_options_are_known_by_their_words(answer: str, options: list[str], chosen: str | None) -> None:
    assert chosen_option(answer, options) == chosen


def test_every_rotation_offers_every_option() -> None:
    turned = [rotated(OPTIONS, rotation) for rotation in range(4)]
    assert [options[0] for options in turned] == OPTIONS
    assert all(sorted(options) == sorted(OPTIONS) for options in turned)
    assert choice_question("What is it?", turned[1]).splitlines()[:3] == ["What is it?", "A. a dog", "B. a cat tree"]


def _answers(model: str, item: str, rotations: str) -> list[dict[str, object]]:
    return [
        {
            "answer_id": f"{model} {item} {rotation}",
            "checkpoint_id": "c",
            "model": model,
            "benchmark": "mmbench",
            "ability": "counting",
            "item_id": item,
            "question_kind": "choice",
            "correct": bit == "1",
            "answer": "",
            "accepted": [],
        }
        for rotation, bit in enumerate(rotations)
    ]


def test_a_choice_is_right_only_if_it_is_right_in_every_rotation() -> None:
    rows = [*_answers("base", "one", "1110"), *_answers("base", "two", "11"), *_answers("tuned", "one", "1111")]
    scores = {(row["model"], row["ability"]): row for row in score_answers(rows) if row["question_kind"] == "all"}
    assert (scores["base", "counting"]["correct"], scores["base", "counting"]["n"]) == (1, 2)
    assert (scores["tuned", "all"]["correct"], scores["tuned", "all"]["n"]) == (1, 1)
