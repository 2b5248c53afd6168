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
