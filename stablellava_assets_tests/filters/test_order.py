"""The pairs that are trained on and exported are those of batches filtered in order, in whatever order they were."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from itertools import permutations
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.filters.near_duplicates.comparisons import sequences
from stablellava_assets.filters.review.reviews import Review
from stablellava_assets.filters.settings import DuplicateSettings, FilterSettings
from stablellava_assets.filters.settled import Settled, Settling, UnsettledError
from stablellava_assets.tables.schemas import COMPARISONS, FILTERED_PAIRS, REJECTED_PAIRS
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets_tests.filters.pairs import candidate
from stablellava_assets_tests.filters.published_pairs import Published, random_batch
from stablellava_assets_tests.tables.made_up import Row
from stablellava_assets_tests.verdicts import reasons

Batches = dict[Partition, list[Candidate]]

DEFAULT = FilterSettings(duplicates=DuplicateSettings(pairs_per_answer=1))
TWO_ANSWERS = FilterSettings(
    duplicates=DuplicateSettings(near_prompt=0.7, near_answer=0.6, pairs_per_answer=2, specs_per_prompt=2)
)
ACROSS = FilterSettings(duplicates=DuplicateSettings(across_abilities=True, pairs_per_answer=1))


def made_up(settings: FilterSettings, count: int = 4, size: int = 18) -> Batches:
    """Batches that repeat each other: of one ability, or of two if abilities are compared."""
    chance = random.Random(7)
    names = [("animal", f"{number:04d}") for number in range(1, count + 1)]
    if settings.duplicates.across_abilities:
        names = [("animal", "0001"), ("color", "0001"), ("animal", "0002"), ("color", "0002")][:count]
    return {name: random_batch("-".join(name), size, chance) for name in names}


def verdicts_of(store: ParquetStore) -> dict[str, Row]:
    """The rows of both tables by pair."""
    tables = (FILTERED_PAIRS, REJECTED_PAIRS)
    return {row["pair_id"]: {**row, "in": table.name} for table in tables for row in store.read_all(table).to_pylist()}


def kept_of(store: ParquetStore) -> list[Row]:
    return store.read_all(FILTERED_PAIRS).to_pylist()


def in_order(folder: Path, batches: Batches, settings: FilterSettings) -> ParquetStore:
    published = Published(folder, settings)
    (order,) = sequences(batches, across_abilities=True)
    for partition in order:
        published.judge(partition, batches[partition])
    return published.store


def settled(published: Published) -> Settled:
    return Settling(published.settings, published.folder / "index").settle(published.store)


@pytest.mark.parametrize("settings", [DEFAULT, TWO_ANSWERS, ACROSS], ids=["default", "two answers", "across"])
def test_every_order_gives_the_same_pairs(tmp_path: Path, settings: FilterSettings) -> None:
    batches = made_up(settings, 3)
    wanted = in_order(tmp_path / "in order", batches, settings)
    found = Counter(rule for row in verdicts_of(wanted).values() for rule in reasons(row))
    assert found.keys() >= {"repeated_prompt", "repeated_answer"}
    rejudged = 0
    for number, order in enumerate(permutations(batches)):
        published = Published(tmp_path / str(number), settings)
        for partition in order:
            published.judge(partition, batches[partition])
        result = settled(published)
        rejudged += len(result.rejudged)
        assert verdicts_of(result.store) == verdicts_of(wanted), order
        assert kept_of(result.store) == kept_of(wanted), order
    assert rejudged > 3


@pytest.fixture
def batches() -> Batches:
    return made_up(DEFAULT)


@pytest.fixture
def wanted(tmp_path: Path, batches: Batches) -> ParquetStore:
    return in_order(tmp_path / "in order", batches, DEFAULT)


def test_batches_in_order_are_taken_as_they_are(tmp_path: Path, wanted: ParquetStore) -> None:
    published = Published(tmp_path / "in order", DEFAULT)
    result = settled(published)
    assert result.store is published.store
    assert result.notice is None


def test_what_is_settled_is_told_with_the_commands_that_publish_it(tmp_path: Path, batches: Batches) -> None:
    published = Published(tmp_path, DEFAULT)
    for partition in reversed(batches):
        published.judge(partition, batches[partition])
    before = verdicts_of(published.store)
    result = settled(published)
    assert result.rejudged == (("animal", "0002"), ("animal", "0003"), ("animal", "0004"))
    assert "dagster asset materialize --select filtered_pairs --partition 'animal|0003'" in (result.notice or "")
    assert verdicts_of(published.store) == before, "nothing is published by who only reads"
    for partition in batches:
        published.judge(partition, batches[partition])
    assert settled(published).store is published.store


def test_verdicts_that_an_earlier_version_published_are_taken_over(
    tmp_path: Path, batches: Batches, wanted: ParquetStore
) -> None:
    published = Published(tmp_path / "in order", DEFAULT)
    for partition in published.store.partitions(COMPARISONS):
        published.store.withdraw(COMPARISONS, partition)
    assert settled(published).store is published.store
    published.judge(("animal", "0001"), batches["animal", "0001"][:5])
    result = settled(published)
    fewer = {**batches, ("animal", "0001"): batches["animal", "0001"][:5]}
    assert kept_of(result.store) == kept_of(in_order(tmp_path / "fewer", fewer, DEFAULT))


def test_only_what_a_choice_of_batches_depends_on_is_settled(tmp_path: Path, batches: Batches) -> None:
    published = Published(tmp_path, DEFAULT)
    for partition in reversed(batches):
        published.judge(partition, batches[partition])
    settling = Settling(DEFAULT, tmp_path / "index")
    assert settling.settle(published.store, [("animal", "0001")]).store is published.store
    assert settling.settle(published.store, [("animal", "0002")]).rejudged == (("animal", "0002"),)


def test_peoples_decisions_stay(tmp_path: Path) -> None:
    reviews = {
        "kept": Review(pair_id="kept", decision="keep", reviewer="Ada"),
        "turned away": Review(pair_id="turned away", decision="reject", reviewer="Ada"),
    }
    owl: dict[str, Any] = {"prompt": "((owl)), barn", "subject": "owl", "answer": "An owl sits on a beam."}
    first, second = [candidate("first"), candidate("turned away", **owl)], [candidate("kept"), candidate("owl", **owl)]
    stores = []
    for name, order in (("in order", (1, 2)), ("the other way", (2, 1))):
        published = Published(tmp_path / name, DEFAULT, reviews)
        for number in order:
            published.judge(("animal", f"{number:04d}"), first if number == 1 else second)
        stores.append(settled(published).store)
    one, other = map(verdicts_of, stores)
    assert one == other
    assert [found["rule"] for found in one["kept"]["findings"]] == [
        "repeated_prompt",
        "repeated_answer",
        "kept_by_review",
    ]
    assert one["owl"]["in"] == "filtered_pairs"


class _KilledError(Exception):
    pass


@pytest.mark.parametrize("publications", [0, 1, 2, 3, 4])
def test_a_killed_run_changes_nothing_once_it_is_run_again(
    tmp_path: Path, batches: Batches, wanted: ParquetStore, publications: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = Published(tmp_path / "killed", DEFAULT)
    names = list(batches)
    for partition in (names[2], names[1], names[3]):
        published.judge(partition, batches[partition])
    publish, left = ParquetStore.publish, [publications]

    def dying(self: ParquetStore, *args: Any) -> str:
        if not left[0]:
            raise _KilledError
        left[0] -= 1
        return publish(self, *args)

    for partition in (names[0], names[1]):
        left[0] = publications
        with monkeypatch.context() as patched:
            patched.setattr(ParquetStore, "publish", dying)
            with pytest.raises(_KilledError):
                published.judge(partition, batches[partition])
        # What is published is used, or refused with the command that completes it.
        with suppress(UnsettledError):
            there = {name: batches[name] for name in published.store.partitions(FILTERED_PAIRS)}
            expected = in_order(tmp_path / f"{partition} {publications}", there, DEFAULT)
            assert kept_of(settled(published).store) == kept_of(expected)
        published.judge(partition, batches[partition])
    assert kept_of(settled(published).store) == kept_of(wanted)


def filter_some(folder: Path, settings: FilterSettings, order: Sequence[Partition]) -> None:
    """What one of several processes does; a partition is leased meanwhile, as it is by a run."""
    published, batches = Published(folder, settings), made_up(settings)
    for partition in order:
        with FileLock(folder / f"{'-'.join(partition)}.lock"):
            published.judge(partition, batches[partition])


@pytest.mark.parametrize("settings", [DEFAULT, ACROSS], ids=["default", "across"])
def test_processes_side_by_side_give_the_same_pairs(tmp_path: Path, settings: FilterSettings) -> None:
    batches, chance = made_up(settings), random.Random()
    with ProcessPoolExecutor(4, mp_context=get_context("forkserver")) as pool:
        for attempt in range(2):
            folder = tmp_path / f"attempt {attempt}"
            order = chance.sample(list(batches), len(batches))
            # One batch is filtered by two processes, as after a restart.
            runs = [pool.submit(filter_some, folder, settings, [name]) for name in [*order, order[0]]]
            for run in runs:
                run.result()
            result = settled(Published(folder, settings))
            assert verdicts_of(result.store) == verdicts_of(in_order(tmp_path / f"{attempt}", batches, settings)), order


def test_tables_elsewhere_are_settled_too(tmp_path: Path, batches: Batches, wanted: ParquetStore) -> None:
    published = Published(tmp_path / "here", DEFAULT)
    published.store = ParquetStore(f"memory://{tmp_path.name}/tables")
    for partition in reversed(batches):
        published.judge(partition, batches[partition])
    assert kept_of(settled(published).store) == kept_of(wanted)
