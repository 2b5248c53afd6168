"""Whether the prompts that the benchmark of duplicates plants are what it counts them as."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType

import pytest

from stablellava_assets_tests.project import ROOT

ROWS = 20_000
LAST_LETTERS = 4
"""Letters at a prompt's end of which a mistyping changes one."""


@pytest.fixture(scope="module")
def prompts() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("duplicate_peers.prompts")


def test_planted_repeats_are_what_they_are_counted_as(prompts: ModuleType) -> None:
    seen: set[str] = set()
    beginnings: set[str] = set()
    planted = {"new": 0, "same": 0, "near": 0}
    for prompt, _, kind in prompts.rows(ROWS):
        assert (prompt in seen) == (kind == "same"), (kind, prompt)
        if kind == "near":
            assert prompt[:-LAST_LETTERS] in beginnings
        elif kind == "new":
            beginnings.add(prompt[:-LAST_LETTERS])
        seen.add(prompt)
        planted[kind] += 1
    assert planted["same"] / ROWS == pytest.approx(prompts.REPEATED, abs=0.01)
    assert planted["near"] / ROWS == pytest.approx(prompts.NEARLY_REPEATED, abs=0.01)


def test_the_same_seed_plants_the_same(prompts: ModuleType) -> None:
    assert list(prompts.rows(2000)) == list(prompts.rows(2000))
    assert list(prompts.rows(2000)) != list(prompts.rows(2000, seed=8))
