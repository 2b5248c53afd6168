"""Lookup keys beside the tables: they find what comparing with everything finds, are made once, and can be lost."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.filters.near_duplicates.kept_lookup import KeptLookup
from stablellava_assets.filters.rules.examine import settings_key
from stablellava_assets.filters.settings import DuplicateSettings, FilterSettings
from stablellava_assets.tables.store import StoreError
from stablellava_assets_tests.filters.pairs import candidate
from stablellava_assets_tests.filters.published_pairs import Published, against_all, random_batch
from stablellava_assets_tests.verdicts import nearest, reasons

SETTINGS = FilterSettings()


def partition(number: int, ability: str = "animal") -> tuple[str, str]:
    return ability, f"{number:04d}"


@pytest.fixture
def published(tmp_path: Path) -> Published:
    return Published(tmp_path, SETTINGS)


def key_files(published: Published) -> list[Path]:
    return sorted((published.folder / "tables/lookup_keys").rglob("*.parquet"))


@pytest.mark.parametrize(
    "duplicates",
    [
        DuplicateSettings(),
        DuplicateSettings(near_prompt=0.7, near_answer=0.6, pairs_per_answer=2, image_bits=0),
        DuplicateSettings(near_prompt=1, near_answer=1, pairs_per_answer=1, image_bits=5),
    ],
)
def test_verdicts_are_those_of_a_comparison_with_everything(tmp_path: Path, duplicates: DuplicateSettings) -> None:
    settings = FilterSettings(duplicates=duplicates)
    chance = random.Random(1)
    batches = [random_batch(str(number), 120, chance) for number in range(5)]
    published = Published(tmp_path, settings)
    verdicts = [published.judge(partition(number), batch) for number, batch in enumerate(batches)]
    assert verdicts == against_all(batches, settings)
    found = Counter(reason for rows in verdicts[1:] for row in rows for reason in reasons(row))
    assert found.keys() >= {"repeated_prompt", "repeated_answer", "duplicate_image"}


def test_the_keys_of_a_batch_are_written_once(published: Published) -> None:
    chance = random.Random(2)
    published.judge(partition(0), random_batch("0", 10, chance))
    (first,) = key_files(published)
    written = first.stat().st_mtime_ns
    for number in range(1, 4):
        published.judge(partition(number), random_batch(str(number), 10, chance))
    assert len(key_files(published)) == 4
    assert first.stat().st_mtime_ns == written


def test_a_batch_that_was_published_anew_has_new_keys(published: Published) -> None:
    published.judge(partition(1), [candidate("first")])
    published.judge(partition(2), [candidate("second", prompt="((owl)), barn", subject="owl", answer="An owl.")])
    again = [candidate("third")]
    (row,) = published.judge(partition(3), again)
    assert nearest(row) == "first"
    published.publish(partition(1), [])
    (row,) = published.judge(partition(3), again)
    assert reasons(row) == []


def test_a_batch_published_while_it_is_looked_up_is_looked_up_again(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.judge(partition(1), [candidate("other"), candidate("first")])
    owl = candidate("owl", prompt="((owl)), barn", subject="owl", answer="An owl.")
    found_by_key = KeptLookup._with_same_key

    def published_meanwhile(self: KeptLookup, pairs: Any, among: Any) -> Any:
        monkeypatch.undo()
        # The keys of what was kept before what is published are removed.
        for name in ("new", "newer"):
            published.judge(partition(1), [candidate(name), owl])
        return found_by_key(self, pairs, among)

    monkeypatch.setattr(KeptLookup, "_with_same_key", published_meanwhile)
    (row,) = published.judge(partition(2), [candidate("third")])
    assert nearest(row) == "newer"


def test_a_batch_is_never_compared_with_itself_or_with_later_ones(published: Published) -> None:
    for _ in range(2):
        for number in (3, 1, 2):
            published.judge(partition(number), [candidate(f"pair {number}")])
    verdicts = {number: published.judge(partition(number), [candidate(f"pair {number}")]) for number in (1, 2, 3)}
    assert {number: reasons(row) for number, (row,) in verdicts.items()} == {
        1: [],
        2: [
            "repeated_prompt",
        ],
        3: ["repeated_prompt"],
    }
    assert {nearest(row) for number in (2, 3) for row in verdicts[number]} == {"pair 1"}


@pytest.mark.parametrize("table", ["lookup_keys", "lookup_pairs"])
def test_damaged_keys_are_an_error_that_says_what_to_do(published: Published, table: str) -> None:
    published.judge(partition(1), [candidate("first")])
    (path,) = (published.folder / "tables" / table).rglob("*.parquet")
    path.write_bytes(b"not a table" * 100)
    with pytest.raises(StoreError, match=rf"{table}.* (Delete|delete)"):
        published.judge(partition(2), [candidate("second")])


def test_lost_keys_are_made_again(published: Published) -> None:
    chance = random.Random(3)
    batches = [random_batch(str(number), 60, chance) for number in range(3)]
    for number, batch in enumerate(batches[:2]):
        published.judge(partition(number), batch)
    before = published.judge(partition(2), batches[2])
    for path in key_files(published):
        path.unlink()
    assert published.judge(partition(2), batches[2]) == before
    assert len(key_files(published)) == 3


def test_keys_of_what_is_no_longer_kept_are_removed(published: Published) -> None:
    chance = random.Random(4)
    for _ in range(6):
        published.judge(partition(1), random_batch("again", 40, chance))
        published.judge(partition(2), random_batch("next", 40, chance))
    # Those of the kept pairs before the last ones may still be read.
    assert len(key_files(published)) == 4


def test_other_thresholds_have_other_keys(published: Published) -> None:
    published.judge(partition(1), [candidate("first")])
    before = key_files(published)
    published.settings = FilterSettings(duplicates=DuplicateSettings(image_bits=5))
    (row,) = published.judge(partition(2), [candidate("second")])
    assert nearest(row) == "first"
    assert len(set(key_files(published)) - set(before)) == 2


def test_abilities_are_apart_unless_the_settings_join_them(tmp_path: Path) -> None:
    joined = FilterSettings(duplicates=DuplicateSettings(across_abilities=True))
    for settings, expected in ((SETTINGS, []), (joined, ["repeated_prompt"])):
        published = Published(tmp_path / str(len(expected)), settings)
        published.judge(partition(1, "animal"), [candidate("animal")])
        published.judge(
            partition(2, "animal"), [candidate("other", prompt="((owl)), barn", subject="owl", answer="An owl.")]
        )
        (row,) = published.judge(partition(1, "color"), [candidate("color")])
        assert reasons(row) == expected
        (row,) = published.judge(partition(3, "animal"), [candidate("late")])
        assert nearest(row) == "animal"


def test_a_run_across_abilities_goes_batch_by_batch(tmp_path: Path) -> None:
    run = [partition(1, "animal"), partition(2, "animal"), partition(1, "color"), partition(2, "color")]
    assert Published(tmp_path, SETTINGS).earlier.in_order(run) == run
    joined = FilterSettings(duplicates=DuplicateSettings(across_abilities=True))
    ordered = Published(tmp_path, joined).earlier.in_order(run)
    assert ordered == [run[0], run[2], run[1], run[3]]


def test_whom_a_pair_is_compared_with_is_no_part_of_its_key() -> None:
    compared: dict[str, Any] = {
        "across_abilities": True,
        "semantic_text": {"model": "m"},
        "embedded_images": {"model": "m"},
    }
    other = FilterSettings(duplicates=DuplicateSettings.model_validate(compared))
    assert settings_key(other) == settings_key(SETTINGS)
    assert settings_key(FilterSettings(min_image_spread=5)) != settings_key(SETTINGS)
