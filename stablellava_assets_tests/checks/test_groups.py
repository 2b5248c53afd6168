"""Gates of batches whose prompts and dialogues are about several images."""

from __future__ import annotations

from typing import Any

from stablellava_assets.checks.dialogues import SUITE as DIALOGUE_SUITE
from stablellava_assets.checks.filtered_pairs import SUITE as PAIR_SUITE
from stablellava_assets.checks.gates import GateSettings, Suite, validate
from stablellava_assets.checks.prompt_specs import SUITE as PROMPT_SUITE
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets_tests.checks.test_gates import dialogue
from stablellava_assets_tests.filters.pairs import candidate, judged, of_group
from stablellava_assets_tests.tables.made_up import Row, but
from stablellava_assets_tests.tables.rows_of import spec

SUBJECTS = ["koala", "owl", "lynx", "heron", "gecko", "moose", "otter", "raven"]


def failed(suite: Suite, rows: list[Any], **settings: Any) -> dict[str, str]:
    filled = [but(row, run_id="run") for row in rows]
    results = validate(suite, suite.table.from_rows(filled), GateSettings.model_validate(settings))
    return {result.gate: result.observed for result in results if not result.passed}


def grouped(count: int, images: int = 2) -> list[Row]:
    """Prompts of ``count`` groups, of which each has one seed."""
    return [
        {
            **spec(group * images + number),
            "subject": SUBJECTS[group % len(SUBJECTS)],
            "seed": group,
            "group_id": f"group {group}",
            "image_number": number + 1,
        }
        for group in range(count)
        for number in range(images)
    ]


def test_the_images_of_a_group_may_share_a_seed_and_no_others_may() -> None:
    rows = grouped(8)
    assert failed(PROMPT_SUITE, rows) == {}
    assert set(failed(PROMPT_SUITE, [*rows[:-1], {**rows[-1], "seed": 0}])) == {"seeds_differ"}


def test_groups_are_whole_and_in_order() -> None:
    rows = grouped(8, 3)
    assert failed(PROMPT_SUITE, rows) == {}
    without = failed(PROMPT_SUITE, [*rows[:4], *rows[5:]])
    assert set(without) == {"groups_are_whole"}
    assert "numbers_in_group 1, 3 of 3" in without["groups_are_whole"]
    exchanged = failed(PROMPT_SUITE, [rows[1], rows[0], *rows[2:]])
    assert "numbers_in_group 2, 1, 3 of 3" in exchanged["groups_are_whole"]


def test_a_conversation_has_an_image_per_prompt_and_none_twice() -> None:
    def about(index: int, spec_ids: list[str], image_ids: list[str]) -> Row:
        marks = "<image>\n" * len(image_ids)
        return {**dialogue(index, "what", "koala", f"{marks}What?"), "spec_ids": spec_ids, "image_ids": image_ids}

    both = [["a", "b"], ["image a", "image b"]]
    assert failed(DIALOGUE_SUITE, [about(0, *both), about(1, *both)]) == {}
    for images in (["image a", "image a"], ["image a"], ["image a", "image b", "image c"]):
        assert set(failed(DIALOGUE_SUITE, [about(0, *both), about(1, ["a", "b"], images)])) == {"images_match_prompts"}


def test_diversity_and_balance_count_every_image_of_kept_pairs() -> None:
    def pair(number: int, second: str) -> Any:
        members = [
            candidate(f"{number} {place}", subject=subject, prompt=f"(({subject})), {place} {number}, 8k")
            for subject, place in (("koala", "grove"), (second, "barn"))
        ]
        answer = f"A koala, then a {second}."
        return of_group(f"pair {number}", *members, answer=answer, expected=None, question="<image><image> Which?")

    settings = FilterSettings.model_validate(
        {"duplicates": {"near_prompt": 1, "pairs_per_answer": 99, "near_answer": 1}}
    )
    varied = judged(*(pair(number, SUBJECTS[number % 8]) for number in range(1, 12) if number % 8), settings=settings)
    assert failed(PAIR_SUITE, varied, min_subject_entropy=0.65) == {}
    same = judged(*(pair(number, "koala") for number in range(1, 12)), settings=settings)
    assert set(failed(PAIR_SUITE, same)) == {"kept_subjects_are_even"}
