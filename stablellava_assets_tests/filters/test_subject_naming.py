"""What counts as naming a subject. The pairs are of the kinds that a search for the subject's letters gets wrong."""

from __future__ import annotations

import pytest

from stablellava_assets.text.conversations import Turn
from stablellava_assets.text.word_forms import missing_words
from stablellava_assets_tests.filters.pairs import candidate, judged, rules_against
from stablellava_assets_tests.verdicts import explanations, notes, reasons

NAMED = [
    ("Koala", "A koala dozes."),
    ("Scarlet-poppy", "Scarlet poppies line the path."),
    ("violet crocus", "Violet-crocus beds edge the lawn."),
    ("Cactus", "Two cacti stand in the sand."),
    ("Iris", "Irises open along the ditch."),
    ("knife", "Three knives hang on the wall."),
    ("Green-leaf", "The leaves are green."),
    ("diver", "Someone dives from the pier."),
    ("runner", "She runs along the shore."),
    ("dancing", "A dancer crosses the stage."),
    ("photographer", "A man is photographing a heron."),
    ("skiing", "Two skiers wait for the lift."),
    ("laughing", "Her laughter fills the room."),
    ("meditating", "He sits in a meditative pose."),
    ("painting nails", "A girl is painting her nails."),
    ("doing a handstand", "A boy performs a handstand."),
    ("tub", "A bathtub stands by the window."),
    ("armchair", "An arm chair stands by the fire."),
    ("book shelf", "Bookshelves cover the wall."),
    ("Hippo", "A hippopotamus wallows."),
    ("Gold-bangle", "A golden bangle lies on the cloth."),
    ("a man with a hat", "The man wears hats well."),
    ("policeman", "A woman in uniform; she is a policewoman."),
    ("Firewoman", "Two firemen rest."),
    ("salesperson", "The saleswoman smiles."),
    ("pianist", "His piano skills are remarkable."),
    ("cellist", "She tunes two cellos."),
]
UNNAMED = [
    ("Koala", "A city street at night."),
    ("ring", "The trees bloom in spring."),
    ("ear", "A bear rests."),
    ("owl", "A bowl of soup."),
    ("hat", "That chat went well."),
    ("bear", "A man with a beard."),
    ("plane", "A planet above the horizon."),
    ("grape", "Half a grapefruit."),
    ("cat", "A catalogue lies open."),
    ("photographer", "A man with a camera."),
    ("policeman", "A man in uniform."),
    ("policeman", "A fireman rests."),
    ("woman", "A man reads."),
    ("human", "A woman reads."),
    ("cello", "Cells under glass."),
]


@pytest.mark.parametrize(("subject", "answer"), NAMED)
def test_a_form_of_every_word_is_found(subject: str, answer: str) -> None:
    assert missing_words(subject, answer) == []


@pytest.mark.parametrize(("subject", "answer"), UNNAMED)
def test_a_chance_likeness_is_not_a_form(subject: str, answer: str) -> None:
    assert missing_words(subject, answer)


def test_an_answer_off_its_subject_is_rejected() -> None:
    (row,) = judged(candidate(subject="koala", answer="A tram waits at a crossing."))
    assert reasons(row) == ["subject_not_named"]
    assert explanations(row) == ["No word of the answer is a form of 'koala'."]
    assert row["subject_named"] is False


def test_an_answer_that_narrows_its_subject_is_kept_and_noted() -> None:
    (row,) = judged(candidate(subject="Black-car", answer="A long black limousine."))
    assert reasons(row) == []
    assert row["subject_named"] is True
    assert notes(row) == ["subject_partly_named: Of 'Black-car' the answer says 'black' but not 'car'."]


def test_another_name_counts() -> None:
    (row,) = judged(candidate(subject="talking", answer="Two men are deep in conversation."))
    assert reasons(row) == []
    assert notes(row) == []


def test_a_closed_question_must_name_what_is_expected() -> None:
    right = candidate("right", subject="red kite", answer="It is red.", kind="what", expected="red")
    wrong = candidate(
        "wrong",
        prompt="((red kite)), sky",
        subject="red kite",
        question="<image>\nIs it red or blue?",
        answer="It is a kite.",
        kind="either_or",
        expected="red",
    )
    verdicts = judged(right, wrong)
    assert [reasons(row) for row in verdicts] == [[], ["subject_not_named"]]


@pytest.mark.parametrize(("answer", "expected"), [("No, it is an owl.", []), ("An owl it is.", ["expected_missing"])])
def test_a_yes_no_answer_names_no_subject_but_says_yes_or_no(answer: str, expected: list[str]) -> None:
    (row,) = judged(candidate(answer=answer, kind="yes_no", expected="no"))
    assert reasons(row) == expected
    assert row["subject_named"] is None


def test_a_question_must_leave_its_answer_open() -> None:
    told = candidate(
        "told", question="<image>\nWhich koala is it?", answer="It is a koala.", kind="what", expected="koala"
    )
    misled = candidate(
        "misled",
        prompt="((koala)), branch",
        question="<image>\nIs it a koala or an owl?",
        answer="Neither, it is a koala.",
        kind="misleading",
        expected="koala",
    )
    assert rules_against(told, misled) == [["question_gives_answer"], ["question_gives_answer"]]


def test_a_misleading_question_is_answered_with_what_is_there() -> None:
    question = "<image>\nIs it a newt or an owl?"
    right = candidate("right", question=question, answer="Neither, it is a koala.", kind="misleading", expected="koala")
    wrong = candidate(
        "wrong",
        prompt="((koala)), branch",
        question=question,
        answer="It is an owl.",
        kind="misleading",
        expected="koala",
    )
    assert rules_against(right, wrong) == [[], ["subject_not_named"]]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ("There is no dog here.", []),
        ("Nothing: there isn't a dog in the picture.", []),
        ("It holds a stick.", ["expected_missing"]),
    ],
)
def test_a_false_presupposition_must_be_denied_and_need_not_name_the_subject(answer: str, found: list[str]) -> None:
    question = "<image>\nWhat is the dog holding?"
    assert rules_against(
        candidate(question=question, answer=answer, kind="negative_presupposition", expected="no")
    ) == [found]


def test_a_conversation_of_several_turns_names_its_subject_somewhere() -> None:
    turns: list[Turn] = [
        {"from": "human", "value": "<image>\nWhat is it?"},
        {"from": "gpt", "value": "It is a koala."},
        {"from": "human", "value": "Where is it?"},
        {"from": "gpt", "value": "In a tree."},
    ]
    pair = candidate("several", kind="multi_turn")
    pair.dialogue["conversations"] = turns
    assert rules_against(pair) == [[]]
    pair.dialogue["conversations"] = [turns[0], {"from": "gpt", "value": "It is an owl."}, *turns[2:]]
    assert rules_against(pair) == [["subject_not_named"]]
