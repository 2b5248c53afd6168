"""The two indexes against comparing each with each."""

from __future__ import annotations

import random

import pytest

from stablellava_assets.filters.near_duplicates.near_images import NearImages
from stablellava_assets.filters.near_duplicates.near_texts import NearTexts

WORDS = [f"{first}{second}" for first in ("bright", "calm", "dusty", "early") for second in ("field", "lane", "moor")]


@pytest.mark.parametrize("bits", [0, 1, 2, 5, 10])
def test_every_hash_within_the_bits_is_found_and_no_other(bits: int) -> None:
    chance = random.Random(bits)
    index = NearImages(bits)
    hashes = [chance.getrandbits(64) for _ in range(200)]
    for value in hashes:
        index.add("koala", f"{value:016x}", str(value))
    for value in hashes[:50]:
        for flips in range(bits + 3):
            changed = value
            for bit in chance.sample(range(64), flips):
                changed ^= 1 << bit
            expected = (str(value), flips) if flips <= bits else None
            assert index.nearest("koala", f"{changed:016x}") == expected
            assert index.nearest("owl", f"{changed:016x}") is None


def shingled(text: str) -> set[str]:
    return {text[start : start + 5] for start in range(max(1, len(text) - 4))}


@pytest.mark.parametrize("threshold", [0.7, 0.9])
def test_near_texts_are_those_an_exhaustive_search_finds(threshold: float) -> None:
    chance = random.Random(3)
    texts = list(dict.fromkeys(", ".join(chance.sample(WORDS, 8)) for _ in range(60)))
    texts += [text[:-1] for text in texts[:30]] + [text.replace("moor", "m00r", 1) for text in texts[30:]]
    texts = list(dict.fromkeys(texts))
    index = NearTexts(threshold)
    for position, text in enumerate(texts):
        expected = {}
        for other in texts[:position]:
            one, two = shingled(text), shingled(other)
            if (similarity := len(one & two) / len(one | two)) >= threshold:
                expected[other] = similarity
        assert dict(index.near("group", text)) == expected


def test_groups_do_not_mix() -> None:
    index = NearTexts(0.8)
    index.near("fox", "meadow at dawn, soft light, 8k")
    assert index.near("ox", "meadow at dawn, soft light, 4k") == []
    assert index.near("fox", "meadow at dawn, soft light, 4k")


def test_a_neighbour_met_later_is_known_to_both() -> None:
    index = NearTexts(0.8)
    assert index.near("fox", "meadow at dawn, soft light, 8k") == []
    index.near("fox", "meadow at dawn, soft light, 4k")
    assert [text for text, _ in index.near("fox", "meadow at dawn, soft light, 8k")] == [
        "meadow at dawn, soft light, 4k"
    ]


def test_a_threshold_of_one_finds_nothing_but_the_text_itself() -> None:
    index = NearTexts(1.0)
    index.near("fox", "meadow")
    assert index.near("fox", "meadow") == []
