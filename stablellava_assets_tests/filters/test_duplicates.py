from __future__ import annotations

import pytest

from stablellava_assets.filters.settings import DuplicateSettings, FilterSettings
from stablellava_assets_tests.filters.pairs import candidate, judged, noise_png, rules_against
from stablellava_assets_tests.verdicts import explanations, nearest, reasons

ONE_ANSWER = "A koala dozes in a fork of the oldest tree."


def of_duplicates(**values: float) -> FilterSettings:
    return FilterSettings(duplicates=DuplicateSettings.model_validate(values))


@pytest.mark.parametrize(
    "again",
    [
        "((koala)), eucalyptus grove, at dawn, 8k",
        "((Koala)),  Eucalyptus grove,at dawn, 8k.",
        "((koala)), 8k, at dawn, eucalyptus grove",
        "koala, eucalyptus grove, at dawn, 8k, 8k",
    ],
)
def test_the_same_prompt_is_kept_once(again: str) -> None:
    first, second = judged(candidate("first"), candidate("second", prompt=again, answer="One koala sleeps."))
    assert reasons(first) == []
    assert reasons(second) == ["repeated_prompt"]
    assert nearest(second) == "first"


def test_several_pictures_of_one_prompt_may_be_allowed() -> None:
    pairs = [candidate(str(number), answer=f"Koala number {number} sleeps here.") for number in range(3)]
    assert rules_against(*pairs, settings=of_duplicates(specs_per_prompt=2)) == [[], [], ["repeated_prompt"]]


def test_dialogues_about_one_picture_share_its_prompt() -> None:
    pairs = [
        candidate("what", spec="one", kind="what", expected="koala", question="<image> What?", answer="A koala."),
        candidate("is it", spec="one", kind="yes_no", expected="yes", question="<image> A koala?", answer="Yes."),
    ]
    assert rules_against(*pairs) == [[], []]


def test_a_nearly_equal_prompt_names_the_pair_and_how_near() -> None:
    prompt = "((koala)), eucalyptus grove, at dawn, intricate details, dramatic lighting, {}"
    first = candidate("first", prompt=prompt.format("8k"))
    second = candidate("second", prompt=prompt.format("4k"), answer="One koala sleeps.")
    verdict = judged(first, second, settings=of_duplicates(near_prompt=0.8))[1]
    assert reasons(verdict) == ["near_prompt"]
    assert explanations(verdict)[0].startswith("The prompt is 8")
    assert "pair first" in explanations(verdict)[0]
    assert rules_against(first, second, settings=of_duplicates(near_prompt=1.0)) == [[], []]


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [
        ("river", "riverbank", []),
        ("river", "rivers", ["near_prompt"]),
        ("river", "rivver", ["near_prompt"]),
        ("river", "river 8k", ["near_prompt"]),
    ],
)
def test_nearly_equal_prompts_that_show_two_things_are_two(here: str, there: str, expected: list[str]) -> None:
    prompt = "((koala)), {}, realistic, dramatic lighting, detailed shading, highly detailed, intricate details"
    first = candidate("first", prompt=prompt.format(here))
    second = candidate("second", prompt=prompt.format(there), answer="One koala sleeps.")
    assert rules_against(first, second, settings=of_duplicates(near_prompt=0.85))[1] == expected


def test_prompts_about_different_subjects_are_different() -> None:
    tail = ", wide meadow at dawn, intricate details, dramatic lighting, highly detailed, soft light, 8k"
    pairs = [
        candidate("fox", prompt=f"((fox)){tail}", subject="fox", answer="A fox."),
        candidate("ox", prompt=f"((ox)){tail}", subject="ox", answer="An ox."),
    ]
    assert rules_against(*pairs) == [[], []]


def prompt_number(number: int) -> str:
    return f"((koala)), {['grove', 'zoo', 'night sky', 'waterside', 'farm yard'][number]}, 8k"


def test_open_answers_may_repeat_only_so_often() -> None:
    pairs = [candidate(str(number), prompt=prompt_number(number), answer=ONE_ANSWER) for number in range(5)]
    verdicts = judged(*pairs, settings=of_duplicates(pairs_per_answer=2))
    assert [reasons(row) for row in verdicts] == [[], [], *[["repeated_answer"]] * 3]
    assert {nearest(row) for row in verdicts[2:]} == {"0"}


def test_open_answers_that_nearly_repeat_count_as_repeats() -> None:
    answers = [ONE_ANSWER, ONE_ANSWER.replace("A koala", "The koala"), ONE_ANSWER.replace(".", "!")]
    pairs = [candidate(str(n), prompt=prompt_number(n), answer=answer) for n, answer in enumerate(answers)]
    assert rules_against(*pairs, settings=of_duplicates(pairs_per_answer=2, near_answer=0.7))[2] == ["repeated_answer"]


def test_closed_answers_repeat_by_design() -> None:
    pairs = [
        candidate(str(n), prompt=prompt_number(n), kind="what", expected="koala", answer="It is a koala.")
        for n in range(5)
    ]
    assert rules_against(*pairs, settings=of_duplicates(pairs_per_answer=1)) == [[]] * 5


def test_the_same_question_about_the_same_picture_is_asked_once() -> None:
    closed = {"spec": "one", "kind": "what", "expected": "koala", "answer": "A koala."}
    pairs = [candidate("first", **closed), candidate("second", **closed)]  # type: ignore[arg-type]
    verdict = judged(*pairs)[1]
    assert reasons(verdict) == ["repeated_question"]
    assert nearest(verdict) == "first"


def test_the_same_bytes_are_a_duplicate() -> None:
    pairs = [
        candidate("first", picture=noise_png("one")),
        candidate("second", picture=noise_png("one"), prompt="((owl)), barn", subject="owl", answer="An owl."),
    ]
    verdict = judged(*pairs)[1]
    assert reasons(verdict) == ["duplicate_image"]
    assert "byte for byte" in explanations(verdict)[0]


@pytest.mark.parametrize(("looks", "expected"), [("00000000000000ff", ["duplicate_image"]), ("00000000000000c0", [])])
def test_pictures_that_look_alike_are_duplicates(looks: str, expected: list[str]) -> None:
    pairs = [
        candidate("first", looks="00000000000000fc"),
        candidate("second", looks=looks, prompt="((koala)), zoo", answer="One koala sleeps."),
    ]
    assert rules_against(*pairs)[1] == expected


def test_pictures_of_different_subjects_are_different_though_their_hashes_agree() -> None:
    pairs = [
        candidate("red", looks="00000000000000fc", prompt="((red hair)), park", subject="red hair", answer="Red hair."),
        candidate(
            "blue", looks="00000000000000fc", prompt="((blue hair)), park", subject="blue hair", answer="Blue hair."
        ),
    ]
    assert rules_against(*pairs) == [[], []]


def test_a_rejected_pair_is_no_reason_against_a_later_one() -> None:
    assert rules_against(candidate("bad", answer=""), candidate("good"))[1] == []


def test_every_reason_is_listed_with_its_explanation() -> None:
    bad = candidate("bad", prompt="((koala)), eucalyptus grove, at dawn, 8k)", answer="<p>A tram.</p>")
    verdict = judged(candidate(), bad)[1]
    assert reasons(verdict) == ["unbalanced_brackets", "answer_markup", "subject_not_named", "repeated_prompt"]
    assert len(explanations(verdict)) == 4
