"""How many benchmark items are needed, from published scores and from nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from stablellava_assets.evaluation.scores.power import independent_discordance, needed_items
from stablellava_assets.planning.needed_items import needed_items_table, nothing_measured, read_needed_items
from stablellava_assets.tables.schemas import ABILITY_SCORES
from stablellava_assets_tests.report.scored import mixed_items, scored
from stablellava_assets_tests.tables.made_up import Row, but


def test_measured_abilities_need_what_their_discordance_asks_for(tmp_path: Path) -> None:
    needed = read_needed_items(scored(tmp_path, mixed_items()))
    assert [(one.ability, one.tests, one.asked) for one in needed] == [
        (name, 4, 14) for name in ("animal", "color", "plant", "scene")
    ]
    animal = needed[0]
    assert animal.discordance == pytest.approx(11 / 14)
    assert animal.for_gain(0.1, 4) == needed_items(0.1, 11 / 14, 0.05 / 4)
    shown = needed_items_table(needed, 0.1).splitlines()
    assert shown[3].split()[:2] == ["ai", "animal"]
    assert shown[3].split()[-2:] == [f"{animal.for_gain(0.1):,}", f"{animal.for_gain(0.1, 4):,}"]
    assert "assumed" not in "\n".join(shown)


def test_a_base_that_leaves_no_room_cannot_be_bettered_by_so_much(tmp_path: Path) -> None:
    needed = read_needed_items(scored(tmp_path, mixed_items()))
    room = 1 - (needed[0].base or 0)
    assert needed[0].for_gain(room) is not None
    assert needed[0].for_gain(room + 0.01) is None
    assert "no room" in needed_items_table(needed, 0.95)


def test_scores_of_an_earlier_version_and_no_scores_are_planned_with_independent_models(tmp_path: Path) -> None:
    store = scored(tmp_path, mixed_items())
    data = store.read(ABILITY_SCORES, ("c0ffee",))
    assert data is not None
    earlier: list[Row] = [but(row, discordance=None) for row in data.to_pylist()]
    store.publish(ABILITY_SCORES, ("c0ffee",), ABILITY_SCORES.from_rows(earlier))
    animal = read_needed_items(store)[0]
    assert animal.base is not None
    assert animal.for_gain(0.1) == needed_items(0.1, independent_discordance(animal.base, 0.1))
    unknown = nothing_measured("animal", 4)
    assert unknown.for_gain(0.1, 4) == needed_items(0.1, 0.5, 0.05 / 4)
    shown = needed_items_table([unknown], 0.1)
    assert "0.500 (assumed)" in shown
    assert shown.endswith("independently of each other; nothing was measured.")
