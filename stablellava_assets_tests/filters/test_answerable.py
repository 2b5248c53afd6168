"""Pairs whose answer the text of their question gives away, and the quota of these."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.filters.review.reviews import Review
from stablellava_assets.filters.settings import AnswerableSettings, DuplicateSettings, FilterSettings
from stablellava_assets.filters.settled import Settling
from stablellava_assets.tables.schemas import FILTERED_PAIRS, REJECTED_PAIRS
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets_tests.filters.pairs import NO_BENCHMARK, candidate, judge, judged, of_group
from stablellava_assets_tests.filters.published_pairs import Published
from stablellava_assets_tests.tables.made_up import Row
from stablellava_assets_tests.verdicts import explanations, notes, reasons

RULE = "answerable_without_picture"
ANIMALS = ["koala", "owl", "lion", "fox", "hen", "toad"]
SHADES = {"red": "crimson", "green": "emerald", "blue": "azure", "gray": "ashen"}


def on(**answerable: Any) -> FilterSettings:
    """No quota by default: every pair that is found is rejected."""
    return FilterSettings(
        duplicates=DuplicateSettings(specs_per_prompt=999, pairs_per_answer=999),
        answerable=AnswerableSettings(**{"max_share": 0, **answerable}),
    )


def asked(name: str, kind: str, question: str, expected: str, subject: str = "umbrella") -> Candidate:
    return candidate(
        name,
        prompt=f"(({subject})), {name}",
        subject=subject,
        question=f"<image>\n{question}",
        answer=f"So it is: {expected}.",
        kind=kind,
        expected=expected,
    )


def clean(count: int, name: str = "clean") -> Iterator[Candidate]:
    """Questions of all kinds whose text says nothing about the answer."""
    chance = random.Random(count)
    for number in range(count):
        right, wrong = chance.sample(ANIMALS, 2)
        both = chance.sample([right, wrong], 2)
        yield asked(f"{name} what {number}", "what", "What animal is this?", right)
        yield asked(f"{name} yes {number}", "yes_no", f"Is it {right}?", "yes")
        yield asked(f"{name} no {number}", "yes_no", f"Is it {wrong}?", "no")
        yield asked(f"{name} or {number}", "either_or", f"Is it {both[0]} or {both[1]}?", right)


def shaded(count: int, name: str = "shaded") -> Iterator[Candidate]:
    """What-questions that say the color under another name."""
    for number in range(count):
        color, shade = [*SHADES.items()][number % len(SHADES)]
        yield asked(f"{name} {number}", "what", f"Which color has the {shade} hat?", color)


def found(pairs: Sequence[Candidate], settings: FilterSettings) -> set[str]:
    return {row["pair_id"] for row in judged(*pairs, settings=settings) if RULE in reasons(row)}


def test_questions_that_a_picture_must_answer_are_left_alone() -> None:
    assert found([*clean(60)], on()) == set()


@pytest.mark.parametrize(
    ("kind", "question", "answer"),
    [
        ("either_or", "Is it {right} or a teapot?", "{right}"),
        ("either_or", "Is it {right} or {wrong}?", "{right}"),
        ("yes_no", "Here is a {right}. Is it {right}?", "yes"),
        ("yes_no", "Could this be {right}, perhaps?", "yes"),
        ("describe", "What does {right} do here?", "{right}"),
        ("negative_presupposition", "What is {wrong} holding?", "no"),
    ],
)
def test_a_form_that_tells_the_answer_is_found(kind: str, question: str, answer: str) -> None:
    pairs = []
    for number in range(40):
        names = {"right": ANIMALS[number % 6], "wrong": ANIMALS[(number + 1 + number % 5) % 6]}
        pairs.append(asked(f"told {number}", kind, question.format(**names), answer.format(**names)))
    told = {pair.dialogue["pair_id"] for pair in pairs}
    # As many questions with the right option last would make the order say nothing.
    others = [pair for pair in clean(60) if kind != "either_or" or pair.dialogue["question_kind"] != kind]
    assert found([*pairs, *others], on()) == told


def test_rare_words_tell_together_what_each_is_too_rare_to_tell() -> None:
    pairs = [*shaded(32), *clean(60)]
    rows = {row["pair_id"]: row for row in judged(*pairs, settings=on())}
    assert {name for name, row in rows.items() if RULE in reasons(row)} == {f"shaded {number}" for number in range(32)}
    (said,) = explanations(rows["shaded 0"])
    assert "with 'crimson" in said
    assert "answered 'red'" in said


def test_what_is_asked_twice_of_one_image_tells_nothing() -> None:
    pairs = []
    for number in range(40):
        for kind in ("what", "describe"):
            pair = asked(f"{kind} {number}", kind, f"What is at post {number}?", ANIMALS[number % 6])
            pair.dialogue["image_ids"] = [f"image {number}"]
            pairs.append(pair)
    assert found(pairs, on()) == set()


def test_open_questions_have_no_answer_that_could_be_told() -> None:
    pairs = [candidate(f"open {number}", prompt=f"((koala)), {number}") for number in range(40)]
    assert found(pairs, on()) == set()


def test_a_few_are_too_few_to_tell() -> None:
    assert found([*shaded(8), *clean(30)], on()) == set()


def test_pairs_about_several_images_are_read_with_all_their_turns() -> None:
    pairs = []
    for number in range(24):
        one, other = (candidate(f"{name} {number}", subject=name, prompt=f"(({name}))") for name in ("koala", "owl"))
        turns = ["<image>\nWhat is this?", "A thing.", "<image>\nAnd which is the koala?", "The first."]
        pairs.append(of_group(f"group {number}", one, other, turns=turns, kind="what", expected="first"))
    assert len(found(pairs, on())) == len(pairs)


def test_the_quota_keeps_a_share_and_notes_what_is_kept() -> None:
    rows = judged(*shaded(40), *clean(20), settings=on(max_share=0.2))
    kept = [row for row in rows if not reasons(row)]
    within = [row for row in kept if any(note.startswith(RULE) for note in notes(row))]
    assert (len(kept), len(within)) == (100, 20)
    assert len(judged(*shaded(40), *clean(20), settings=on(max_share=0, of_ability={"animal": 0.2}))) == len(rows)
    assert found([*shaded(40), *clean(20)], on(of_ability={"animal": 0.2})) == {
        row["pair_id"] for row in rows if reasons(row)
    }


def test_which_ones_are_kept_does_not_depend_on_the_order_of_rows() -> None:
    pairs = [*shaded(40), *clean(20)]
    wanted = found(pairs, on(max_share=0.1))
    random.Random(1).shuffle(pairs)
    assert found(pairs, on(max_share=0.1)) == wanted


def test_without_the_setting_verdicts_and_keys_are_what_they_were() -> None:
    pairs = [*shaded(40), *clean(5)]
    off = judged(*pairs, settings=on().model_copy(update={"answerable": None}))
    assert all(not row["findings"] for row in off)
    assert [row["row_key"] for row in off] == [row["row_key"] for row in judged(*pairs, settings=on())]
    only_noted = on().model_copy(update={"noted_only": (RULE,)})
    assert found(pairs, only_noted) == set()
    turned_on_again = judge(pairs, [], NO_BENCHMARK, on(), [{**row, "run_id": "run"} for row in off])
    assert turned_on_again.reused == len(pairs)
    assert turned_on_again.rows == judged(*pairs, settings=on())


def _verdicts(store: ParquetStore) -> dict[str, Row]:
    tables = (FILTERED_PAIRS, REJECTED_PAIRS)
    return {row["pair_id"]: {**row, "in": table.name} for table in tables for row in store.read_all(table).to_pylist()}


def test_batches_in_any_order_keep_the_same_pairs(tmp_path: Path) -> None:
    settings = FilterSettings(answerable=AnswerableSettings(max_share=0.1))
    batches = {}
    for number in (1, 2):
        # Later batches repeat prompts of earlier ones, so that the quota depends on what these keep.
        own = [*shaded(24, f"shaded {number}"), *clean(10, f"clean {number}")]
        again = [
            asked(f"again {number} {at}", "what", "What animal is this?", "owl", pair.spec["subject"])
            for at, pair in enumerate(clean(5))
        ]
        for pair, repeated in zip(again, clean(5, "clean 1"), strict=True):
            pair.spec["prompt"] = repeated.spec["prompt"]
        batches["animal", f"{number:04d}"] = [*own, *again]
    reviews = {"shaded 2 7": Review(pair_id="shaded 2 7", decision="keep", reviewer="Ada")}
    found, rejudged = [], 0
    for number, order in enumerate(permutations(batches)):
        published = Published(tmp_path / str(number), settings, reviews)
        for partition in order:
            published.judge(partition, batches[partition])
        result = Settling(settings, published.folder / "index").settle(published.store)
        rejudged += len(result.rejudged)
        found.append(_verdicts(result.store))
    assert rejudged
    assert found[0] == found[1]
    rules = {rule for row in found[0].values() for rule in reasons(row)}
    assert rules >= {RULE, "repeated_prompt"}
