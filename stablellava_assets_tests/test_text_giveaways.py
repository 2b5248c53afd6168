"""Whether the questions that the benchmark of giveaways plants are what it counts them as, and are found."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType

import pytest

from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets_tests.project import ROOT

PROMPTS = 90


@pytest.fixture(scope="module")
def giveaways() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("text_giveaways")


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("another name", "This is about the"),
        ("named", "This is about the"),
        ("said twice", "This is about the"),
        ("odd option", ""),
    ],
)
def test_planted_questions_are_what_they_are_counted_as(giveaways: ModuleType, kind: str, asked: str) -> None:
    catalog = load_catalog()
    clean = giveaways.written(catalog.single["color"], PROMPTS)
    made, planted = giveaways.spoiled(catalog, clean, kind, 0.5)
    of_kind = giveaways.PLANTS[kind][0]
    for before, after in zip(clean, made, strict=True):
        is_planted = before.dialogue["pair_id"] in planted
        assert (before == after) != is_planted
        if is_planted:
            assert before.dialogue["question_kind"] == of_kind
            assert after.dialogue["conversations"][0]["value"].startswith(asked)
    assert len(planted) > PROMPTS / 4


def test_the_line_of_a_plant_counts_what_is_found(giveaways: ModuleType) -> None:
    catalog = load_catalog()
    clean = {"animal": giveaways.written(catalog.single["animal"], PROMPTS)}
    planted, recall, anyway, lost = giveaways.measured(catalog, clean, "odd option", 0.5).split(" | ")
    assert int(planted) > PROMPTS / 4
    assert float(recall) > 0.9
    assert float(anyway) == 0
    assert lost.startswith("0 of ")
