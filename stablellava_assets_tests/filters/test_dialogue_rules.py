from __future__ import annotations

import pytest

from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.filters.settings import DialogueRuleSettings, FilterSettings
from stablellava_assets.text.conversations import Turn
from stablellava_assets_tests.filters.pairs import candidate, judged, rules_against, rules_noted
from stablellava_assets_tests.verdicts import notes, reasons


@pytest.mark.parametrize(
    "answer",
    [
        "A koala dozes.",
        "A koala! Is it asleep?",
        'The sign says "koala crossing."',
        "Ein Koala döst – im Baum…",
        "A koala <3 seconds from sleep.",
        "A koala dozes.\nAnother one eats.",
    ],
)
def test_a_written_answer_is_left_alone(answer: str) -> None:
    assert rules_against(candidate(answer=answer)) == [[]]
    assert rules_noted(candidate(answer=answer)) == [[]]


@pytest.mark.parametrize("answer", ["", " ", "\n"])
def test_an_empty_answer_is_rejected(answer: str) -> None:
    assert "empty_answer" in rules_against(candidate(answer=answer))[0]


@pytest.mark.parametrize(
    "answer",
    [
        "A <b>koala</b> dozes.",
        "A **koala** dozes.",
        "# Koala\nIt dozes.",
        "USER: what? A koala.",
        "A koala [dozes](https://example.org).",
        "A koala\x07 dozes.",
        "A koala\ufffd dozes.",
        "A koala dozes. <image>",
    ],
)
def test_leftover_markup_is_rejected(answer: str) -> None:
    assert rules_against(candidate(answer=answer)) == [["answer_markup"]]


@pytest.mark.parametrize("question", ["What is this?", "<image> and <image>: what is this?"])
def test_a_picture_has_one_mark(question: str) -> None:
    assert rules_against(candidate(question=question)) == [["image_marks_mismatch"]]


@pytest.mark.parametrize("question", ["<image>\nWhat is this?", "What is this?\n<image>", "Is <image> a koala's?"])
def test_the_mark_may_stand_anywhere(question: str) -> None:
    assert rules_against(candidate(question=question)) == [[]]


def test_turns_alternate() -> None:
    pair = candidate()
    turns: list[Turn] = [*pair.dialogue["conversations"], {"from": "gpt", "value": "A koala, still."}]
    twice = Candidate({**pair.dialogue, "conversations": turns}, pair.spec, pair.image)
    assert rules_against(twice) == [["turns_malformed"]]


def test_careless_writing_is_noted_and_kept() -> None:
    (row,) = judged(candidate(answer=" A koala may be dozing"))
    assert reasons(row) == []
    assert notes(row) == [
        "stray_spaces: The answer has spaces at its ends or twice in a row: ' A koala may be dozing'.",
        "no_final_punctuation: The answer ends without a full stop: 'A koala may be dozing'.",
        "hedged_answer: The answer guesses: may.",
    ]


def test_a_note_becomes_a_reason_when_the_profile_asks() -> None:
    strict = FilterSettings(noted_only=())
    assert rules_against(candidate(answer="Possibly a koala"), settings=strict) == [
        ["no_final_punctuation", "hedged_answer"]
    ]


@pytest.mark.parametrize("answer", ["In May, a koala dozes.", "A mighty koala dozes.", "A koala, unlikely as it is."])
def test_only_whole_words_hedge(answer: str) -> None:
    assert rules_noted(candidate(answer=answer)) == [[]]


def test_a_long_answer_is_rejected() -> None:
    settings = FilterSettings(dialogue=DialogueRuleSettings(max_answer_words=5))
    (row,) = judged(candidate(answer="A koala dozes in the tree."), settings=settings)
    assert reasons(row) == ["answer_too_long"]
    assert row["answer_words"] == 6
