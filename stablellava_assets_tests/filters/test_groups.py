"""Pairs about several images: every rule looks at all of them, and comparisons at the group, whatever its order."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stablellava_assets.filters.alignment.alignment import Alignment
from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprints
from stablellava_assets.filters.candidates import AlignmentVerdict, Candidate
from stablellava_assets.filters.findings import Finding
from stablellava_assets.filters.rules.examine import examination_key
from stablellava_assets.filters.settings import AlignmentSettings, DuplicateSettings, FilterSettings, GroupRuleSettings
from stablellava_assets.tables.schemas import FILTERED_PAIRS
from stablellava_assets_tests.filters.pairs import (
    NO_BENCHMARK,
    candidate,
    images_of,
    judge,
    judged,
    noise_png,
    of_group,
    picture_of,
    png,
    rules_against,
)
from stablellava_assets_tests.filters.published_pairs import Published, against_all
from stablellava_assets_tests.tables.made_up import Row, but
from stablellava_assets_tests.verdicts import explanations, nearest, reasons

SETTINGS = FilterSettings()


def animal(name: str, subject: str = "koala", place: str = "grove", **changes: Any) -> Candidate:
    said = {
        "prompt": f"(({subject})), {place}, 8k",
        "subject": subject,
        "answer": f"This is a {subject} of the {place}.",
    }
    return candidate(name, **{**said, "spec": name, **changes})


KOALA, OWL = animal("koala"), animal("owl", "owl", "barn")


def with_facts(pair: Candidate, seed: int, **facts: str) -> Candidate:
    pair.spec["seed"] = seed
    pair.spec["facts"] = [{"name": name, "value": value} for name, value in facts.items()]
    return pair


def test_a_group_is_kept_with_the_columns_of_all_its_images() -> None:
    (row,) = judged(of_group("pair", KOALA, OWL))
    assert reasons(row) == []
    assert (row["prompt"], row["further_prompts"]) == ("((koala)), grove, 8k", ["((owl)), barn, 8k"])
    assert (row["subject"], row["further_subjects"]) == ("koala", ["owl"])
    assert row["further_image_sha256"] == [hashlib.sha256(noise_png("owl")).hexdigest()]
    assert row["further_perceptual_hashes"] == [OWL.image["perceptual_hash"]]
    (stored,) = FILTERED_PAIRS.from_rows([but(row, run_id="run")]).to_pylist()
    assert stored == but(row, run_id="run")
    (single,) = judged(KOALA)
    assert {single[name] for name in row if name.startswith("further_")} == {None}


def test_every_prompt_and_every_image_is_examined() -> None:
    plain = png(np.full((24, 24, 3), 90, dtype=np.uint8))
    cut = animal("cut", "owl", prompt="((owl)), barn,")
    blank = animal("blank", "owl", "barn", picture=plain)
    verdicts = judged(of_group("cut", KOALA, cut), of_group("blank", KOALA, blank), of_group("swapped", blank, KOALA))
    assert [reasons(row) for row in verdicts[:2]] == [["cut_off_prompt"], ["blank_image"]]
    assert explanations(verdicts[0]) == ["Picture 2: the prompt ends in a comma: '((owl)), barn,'."]
    assert explanations(verdicts[1])[0].startswith("Picture 2: the picture's grey values spread by 0.0")
    assert verdicts[1]["image_spread"] == verdicts[2]["image_spread"] == 0
    assert explanations(verdicts[2])[0].startswith("Picture 1: the picture's grey values")


def test_an_image_beside_itself_is_no_pair() -> None:
    again = animal("again", "owl", "barn", picture=picture_of(KOALA))
    (verdict,) = judged(of_group("pair", KOALA, again))
    assert reasons(verdict) == ["same_image"]
    assert explanations(verdict) == ["Pictures 1 and 2 are byte for byte the same."]


def test_images_that_differ_in_color_alone_differ_and_those_that_nobody_tells_apart_do_not() -> None:
    noise = np.random.default_rng(1).integers(0, 200, (64, 64, 3), dtype=np.uint8)
    red, little = noise.copy(), noise.copy()
    red[20:40, 20:40] = noise[20:40, 20:40] + np.array([50, 0, 0], dtype=np.uint8)
    little[20, 20] = noise[20, 20] + np.array([40, 0, 0], dtype=np.uint8)
    one = animal("one", picture=png(noise), side=64, looks="0" * 16)
    pairs = [
        of_group(name, one, animal(name, "owl", picture=png(pixels), side=64, looks="0" * 16))
        for name, pixels in (("red", red), ("little", little))
    ]
    assert rules_against(pairs[0]) == [[]]
    (verdict,) = judged(pairs[1])
    assert reasons(verdict) == ["same_image"]
    assert explanations(verdict)[0].startswith("Pictures 1 and 2 look the same: they differ by 10 grey values")
    lenient = SETTINGS.model_copy(update={"groups": GroupRuleSettings(min_image_difference=0)})
    assert rules_against(pairs[1], settings=lenient) == [[]]


def test_one_seed_allows_one_difference() -> None:
    def pair(seed: int, other_seed: int, **facts: str) -> Candidate:
        first = {"subject": "lion", "answer": "lion", "scene": "forest", "position": "left"}
        return of_group(
            "pair",
            with_facts(animal("one", "lion"), seed, **first),
            with_facts(animal("other", "lion"), other_seed, **{**first, **facts}),
            answer="A lion twice.",
            expected="lion",
        )

    assert rules_against(pair(1, 1, scene="beach")) == [[]]
    assert rules_against(pair(1, 2, scene="beach", position="right")) == [[]]
    (verdict,) = judged(pair(1, 1, scene="beach", position="right"))
    assert reasons(verdict) == ["several_differences"]
    assert explanations(verdict) == ["Pictures 1 and 2 have one seed and differ in position and scene."]
    # A koala's answer is another as well.
    assert rules_against(pair(1, 1, subject="koala", answer="koala")) == [[]]
    unknown = pair(1, 1, scene="beach", position="right")
    unknown.spec["facts"] = [{"name": "subject", "value": "lion"}]
    assert rules_against(unknown) == [[]]


@pytest.mark.parametrize(
    ("answer", "expected", "found"),
    [
        ("A koala, then an owl.", "koala | owl", []),
        ("An owl, then a koala.", "koala | owl", ["out_of_order"]),
        ("It is no owl but a koala; the second is an owl.", "koala | owl", []),
        ("Two koalas.", "koala | owl", ["subject_not_named"]),
        ("Two koalas.", "koala | koala", []),
        ("It is a polar bear, then an owl.", "polar bear | owl", []),
        ("Owls and koalas.", None, []),
        ("An owl in two places.", None, []),
        ("Trams.", None, ["subject_not_named"]),
    ],
)
def test_an_answer_names_everything_that_is_expected_in_order(
    answer: str, expected: str | None, found: list[str]
) -> None:
    assert rules_against(of_group("pair", KOALA, OWL, answer=answer, expected=expected)) == [found]


@pytest.mark.parametrize(
    ("question", "answer", "kind", "expected", "found"),
    [
        ("Which picture shows the owl?", "The second one.", "either_or", "second", []),
        ("Is the second an owl or a koala?", "An owl.", "either_or", "owl", []),
        ("Is the second a fox or a koala?", "An owl.", "either_or", "owl", ["answer_not_offered"]),
        (
            "What do they show, a koala and an owl?",
            "A koala, an owl.",
            "what",
            "koala | owl",
            ["question_gives_answer"],
        ),
        ("What do they show, an owl?", "A koala, an owl.", "what", "koala | owl", []),
        ("Do both show an owl?", "The first is a koala, so no.", "yes_no", "no", []),
        ("Do both show an owl?", "The first is a koala.", "yes_no", "no", ["expected_missing"]),
    ],
)
def test_questions_are_held_against_their_answers(
    question: str, answer: str, kind: str, expected: str, found: list[str]
) -> None:
    asked = f"Picture 1: <image>\nPicture 2: <image>\n{question}"
    pair = of_group("pair", KOALA, OWL, question=asked, answer=answer, kind=kind, expected=expected)
    assert rules_against(pair) == [found]


def test_interleaved_turns_are_judged_by_the_last_question() -> None:
    turns = ["<image>\nIs it a koala?", "Yes, a koala.", "<image>\nAnd what are the two now?", "A koala, an owl."]
    assert rules_against(of_group("pair", KOALA, OWL, turns=turns)) == [[]]
    assert rules_against(of_group("pair", KOALA, OWL, turns=[turns[0], turns[1], "And now?", turns[3]])) == [
        ["image_marks_mismatch"]
    ]


def test_a_group_repeats_another_in_whatever_order_but_no_pair_about_one_image() -> None:
    prompts = {"koala": "((koala)), grove, 8k", "owl": "((owl)), barn, 8k"}

    def again(name: str, subject: str, **changes: Any) -> Candidate:
        return animal(name, subject, prompt=prompts[subject], **changes)

    first = of_group("first", KOALA, OWL)
    exchanged = of_group("exchanged", again("o", "owl"), again("k", "koala"), answer="An owl, a koala.", expected=None)
    half = of_group(
        "half", again("k2", "koala"), animal("yak", "yak"), answer="A koala, a yak.", expected="koala | yak"
    )
    verdicts = judged(KOALA, first, exchanged, half, OWL)
    assert [reasons(row) for row in verdicts] == [[], [], ["repeated_prompt"], [], []]
    assert nearest(verdicts[2]) == "first"
    assert explanations(verdicts[2]) == ["The prompts are those of pair first."]


def test_groups_share_an_image_and_stay_two() -> None:
    yak = animal("yak", "yak")
    pairs = [
        of_group("first", KOALA, OWL),
        of_group("other", KOALA, yak, answer="A koala, a yak.", expected=None),
        KOALA,
    ]
    assert rules_against(*pairs) == [[], [], []]


def test_the_same_question_about_the_same_images_is_asked_once_in_any_order() -> None:
    verdicts = judged(
        of_group("first", KOALA, OWL), of_group("second", OWL, KOALA, answer="An owl, a koala.", expected=None)
    )
    assert reasons(verdicts[1]) == ["repeated_question"]
    assert explanations(verdicts[1]) == ["Pair first asks the same about the same pictures."]


@pytest.mark.parametrize(
    ("looks", "found"),
    [
        (("00000000000000f1", "ffff000000000000"), ["duplicate_image"]),
        (("ffff000000000001", "00000000000000f0"), ["duplicate_image"]),
        (("00000000000000f1", "ffff0000000000ff"), []),
        (("00000000000000f1", "00000000000000f0"), []),
    ],
)
def test_images_that_look_alike_in_any_order_are_duplicates(looks: tuple[str, str], found: list[str]) -> None:
    def pair(name: str, one: str, other: str, place: str) -> Candidate:
        members = [animal(f"{name} {n}", place=f"{place} {n}", looks=look) for n, look in enumerate((one, other))]
        return of_group(name, *members, answer=f"Koalas in the {place}.", expected=None)

    kept = pair("kept", "00000000000000f0", "ffff000000000000", "grove")
    assert rules_against(kept, pair("later", *looks, "zoo")) == [[], found]


def test_the_same_bytes_in_any_order_are_duplicates() -> None:
    def copied(name: str, of: Candidate) -> Candidate:
        return animal(name, of.spec["subject"], name, picture=picture_of(of))

    later = of_group("later", copied("night", OWL), copied("day", KOALA), answer="An owl, a koala.", expected=None)
    verdicts = judged(of_group("first", KOALA, OWL), later)
    assert reasons(verdicts[1]) == ["duplicate_image"]
    assert explanations(verdicts[1]) == ["The pictures are byte for byte those of pair first."]


def test_prompts_of_groups_are_nearly_equal_only_one_by_one() -> None:
    tail = "intricate details, dramatic lighting, highly detailed, soft light, volumetric light"

    def pair(name: str, *places: str) -> Candidate:
        members = [animal(f"{name} {n}", prompt=f"((koala)), {place}, {tail}") for n, place in enumerate(places)]
        return of_group(name, *members, answer=f"Koalas {name}.", expected=None)

    settings = FilterSettings(duplicates=DuplicateSettings(near_prompt=0.7))
    first = pair("here", "forest", "river")
    for places, found in (
        (("rivers", "forests"), ["near_prompt"]),
        (("forest", "forest edge"), []),
        (("forest", "desert"), []),
    ):
        assert rules_against(first, pair("there", *places), settings=settings) == [[], found]


@pytest.mark.parametrize(
    "item",
    [
        {"prompt": "((owl)), 8k, barn"},
        {"prompt": "((yak)), pass\n((owl)), barn, 8k"},
        {"sha256": OWL.image["sha256"]},
        {"further_sha256": [OWL.image["sha256"]]},
        {"prompt": "((yak)), pass\n((owl)), roof", "further_perceptual_hashes": [OWL.image["perceptual_hash"]]},
    ],
)
def test_a_group_is_contaminated_if_one_of_its_prompts_or_images_is(item: Row) -> None:
    row: Row = {
        "item_id": "item",
        "benchmark": "ai",
        "prompt": "((yak)), pass",
        "sha256": None,
        "perceptual_hash": None,
        **item,
    }
    for pair in (of_group("pair", KOALA, OWL), of_group("pair", OWL, KOALA, answer="An owl, a koala.", expected=None)):
        (verdict,) = judge([pair], [], BenchmarkFingerprints([row], 2), SETTINGS).rows
        assert len(reasons(verdict)) == 1
        assert reasons(verdict)[0].startswith("contaminated_")
        assert explanations(verdict)[0].startswith(
            f"Picture {pair.dialogue['image_ids'].index('image of owl') + 1}: the"
        )


def test_keys_follow_every_image_and_those_of_single_ones_only_what_they_did() -> None:
    settings, other = SETTINGS, SETTINGS.model_copy(update={"groups": GroupRuleSettings(min_image_difference=3)})
    pair = of_group("pair", KOALA, OWL)
    assert examination_key(pair, "key", settings.groups) != examination_key(pair, "key", other.groups)
    changed = of_group("pair", KOALA, animal("owl", "owl", "roof"))
    assert examination_key(pair, "key") != examination_key(changed, "key")
    before = judge([KOALA, pair], [], NO_BENCHMARK, settings)
    again = judge([KOALA, pair], [], NO_BENCHMARK, other, [but(row, run_id="run") for row in before.rows])
    assert again.reused == 1


def test_the_verdict_on_alignment_is_that_of_all_images() -> None:
    alignment = Alignment(AlignmentSettings.model_validate({"clip": {"model": "clip", "min_score": 0.5}}), {}, None)  # type: ignore[arg-type]
    pair = of_group("pair", KOALA, OWL)
    good, bad = AlignmentVerdict("good", ()), AlignmentVerdict("bad", (Finding("low_clip_score", "The score is low."),))
    verdict = alignment.verdict_on(pair, {"image of koala": good, "image of owl": bad})
    assert verdict is not None
    assert verdict.findings == (Finding("low_clip_score", "Picture 2: the score is low."),)
    better = alignment.verdict_on(pair, {"image of koala": good, "image of owl": good})
    assert better is not None
    assert (better.findings, better.key == verdict.key) == ((), False)
    assert alignment.verdict_on(KOALA, {"image of koala": bad}) == bad
    assert alignment.verdict_on(pair, {}) is None


def test_earlier_batches_are_found_by_their_keys(tmp_path: Path) -> None:
    def batch(name: str, *pairs: tuple[str, str]) -> list[Candidate]:
        return [
            of_group(
                f"{name} {number}",
                *(animal(f"{name} {number} {place}", place=place) for place in places),
                answer=f"Koalas of {name} {number}.",
                expected=None,
            )
            for number, places in enumerate(pairs)
        ]

    batches = [
        batch("first", ("grove", "barn"), ("zoo", "market")),
        [animal("single", place="grove"), *batch("second", ("barn", "grove"), ("grove", "zoo"), ("market", "zoo"))],
    ]
    published = Published(tmp_path, SETTINGS)
    found = [published.judge(("difference", f"000{n}"), each) for n, each in enumerate(batches, 1)]
    assert [[reasons(row) for row in rows] for rows in found] == [
        [[], []],
        [[], ["repeated_prompt"], [], ["repeated_prompt"]],
    ]
    assert found == against_all(batches, SETTINGS)


def test_images_are_read_once_and_only_for_new_pairs() -> None:
    wanted: list[str] = []
    pairs = [of_group("first", KOALA, OWL), of_group("second", KOALA, OWL, question="<image><image> Which animals?")]
    stored = images_of(pairs)

    def images(image_ids: Any) -> Any:
        wanted.extend(image_ids)
        return stored(image_ids)

    from stablellava_assets.filters.judge import judge as judge_with_images

    before = judge_with_images(pairs, images, [], NO_BENCHMARK, SETTINGS)
    assert sorted(wanted) == ["image of koala", "image of owl"]
    after = judge_with_images(pairs, images, [], NO_BENCHMARK, SETTINGS, [but(row, run_id="r") for row in before.rows])
    assert (after.reused, len(wanted), after.rows) == (2, 2, before.rows)
