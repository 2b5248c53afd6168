"""The index beside the tables: it finds what comparing with everything finds, reads what is new, and can be lost."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.filters.near_duplicates.kept_index import KeptIndexError
from stablellava_assets.filters.rules.examine import settings_key
from stablellava_assets.filters.settings import DuplicateSettings, FilterSettings
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets_tests.filters.pairs import candidate
from stablellava_assets_tests.filters.published_pairs import Published, against_all, random_batch
from stablellava_assets_tests.verdicts import nearest, reasons

SETTINGS = FilterSettings()


def partition(number: int, ability: str = "animal") -> tuple[str, str]:
    return ability, f"{number:04d}"


@pytest.fixture
def published(tmp_path: Path) -> Published:
    return Published(tmp_path, SETTINGS)


def index_files(published: Published) -> list[Path]:
    return sorted((published.folder / "index").rglob("*.sqlite"))


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


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The batches of kept pairs that are read from Parquet."""
    seen: list[str] = []
    read = ParquetStore.read

    def noting(self: ParquetStore, table: Any, partition: tuple[str, ...], columns: Any = None) -> Any:
        if table.name == "filtered_pairs":
            seen.append(partition[1])
        return read(self, table, partition, columns)

    monkeypatch.setattr(ParquetStore, "read", noting)
    return seen


def test_a_new_batch_reads_only_the_one_before_it(published: Published, reads: list[str]) -> None:
    chance = random.Random(2)
    for number in range(4):
        published.judge(partition(number), random_batch(str(number), 10, chance))
    assert reads == ["0000", "0001", "0002"]


def test_a_batch_that_was_published_anew_is_read_anew(published: Published, reads: list[str]) -> None:
    published.judge(partition(1), [candidate("first")])
    published.judge(partition(2), [candidate("second", prompt="((owl)), barn", subject="owl", answer="An owl.")])
    again = [candidate("third")]
    (row,) = published.judge(partition(3), again)
    assert nearest(row) == "first"
    published.publish(partition(1), [])
    del reads[:]
    (row,) = published.judge(partition(3), again)
    assert reasons(row) == []
    assert reads == ["0001"]


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


def test_a_lost_index_is_built_again(published: Published) -> None:
    chance = random.Random(3)
    batches = [random_batch(str(number), 60, chance) for number in range(3)]
    for number, batch in enumerate(batches[:2]):
        published.judge(partition(number), batch)
    before = published.judge(partition(2), batches[2])
    for path in index_files(published):
        path.unlink()
    assert published.judge(partition(2), batches[2]) == before


def test_a_batch_published_again_and_again_does_not_fill_the_index(published: Published) -> None:
    chance = random.Random(4)
    for _ in range(12):
        published.judge(partition(1), random_batch("again", 40, chance))
        published.judge(partition(2), random_batch("next", 40, chance))
    (path,) = index_files(published)
    with closing(sqlite3.connect(path)) as connection:
        keys = connection.execute("SELECT sum(size) FROM runs").fetchone()[0]
        pairs = connection.execute("SELECT count(*) FROM pairs").fetchone()[0]
    assert pairs <= 40
    assert keys <= 4 * 40 * 40


def test_an_index_of_an_older_layout_is_deleted_and_never_read(published: Published) -> None:
    thresholds = (SETTINGS.duplicates.near_prompt, SETTINGS.duplicates.near_answer, SETTINGS.duplicates.image_bits)
    older = published.folder / "index/filtered_pairs" / f"animal.{content_key(1, thresholds, None)[:8]}.sqlite"
    older.parent.mkdir(parents=True)
    with closing(sqlite3.connect(older)) as connection:
        connection.execute("CREATE TABLE keys (key INTEGER, pair INTEGER)")
    published.judge(partition(1), [candidate("first")])
    (row,) = published.judge(partition(2), [candidate("second")])
    assert nearest(row) == "first"
    (path,) = index_files(published)
    assert path != older


def test_a_damaged_index_is_an_error_that_names_the_file(published: Published) -> None:
    published.judge(partition(1), [candidate("first")])
    published.judge(partition(2), [candidate("second")])
    (path,) = index_files(published)
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(
        KeptIndexError, match=rf"{path.name}: the index of kept pairs cannot be used .* Delete the file"
    ):
        published.judge(partition(2), [candidate("second")])


def test_a_first_batch_touches_no_index(published: Published) -> None:
    published.judge(partition(1), [candidate("first")])
    assert index_files(published) == []


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
