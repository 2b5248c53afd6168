"""Partitions of images: made, resumed and published a few rows at a time, and compared without their images."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.local import LocalFileOpener

from stablellava_assets.tables import row_groups
from stablellava_assets.tables.complete_rows import complete_rows
from stablellava_assets.tables.journal import RowJournal
from stablellava_assets.tables.rows import AnyPlanned, PlannedRow, Refreshed
from stablellava_assets.tables.schemas import IMAGES
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets_tests.tables.made_up import Row, but
from stablellava_assets_tests.tables.refreshing import refresh
from stablellava_assets_tests.tables.rows_of import image

PARTITION = ("animal", "0001")
BYTES = 50_000


def plan(numbers: Iterable[int]) -> list[AnyPlanned]:
    return [PlannedRow(row["image_id"], row["row_key"], row) for row in map(painted, numbers)]


def painted(number: int) -> Row:
    return image(number, random.Random(number).randbytes(BYTES + number))


def published(number: int) -> Row:
    return but(painted(number), run_id="run")


def paint(planned: Sequence[AnyPlanned]) -> Iterable[Row]:
    return (dict(row.inputs) for row in planned)


def rows_by_group(store: ParquetStore) -> list[int]:
    """How many rows are read of each row group."""
    with store.open(IMAGES, PARTITION) as file:
        return [file.group(number).num_rows for number in range(len(file.rows_by_group))]


class Images:
    """A partition that is brought up to date as a stage does it."""

    def __init__(self, folder: Path) -> None:
        self.store = ParquetStore(str(folder / "tables"))
        self.folder = folder

    def refresh(self, numbers: Iterable[int], run: str = "run") -> Refreshed:
        previous = self.store.read(IMAGES, PARTITION, IMAGES.without_images)
        with RowJournal(self.folder, IMAGES, PARTITION) as journal:
            refreshed = refresh(IMAGES, plan(numbers), previous, journal, paint, run, print)
            if not refreshed.unchanged:
                self.store.publish(IMAGES, PARTITION, self._complete(refreshed, journal))
            journal.discard()
        return refreshed

    def _complete(self, refreshed: Refreshed, journal: RowJournal[Row]) -> Iterator[pa.Table]:
        if not self.store.holds(IMAGES, PARTITION):
            yield from complete_rows(refreshed.taken, None, journal)
            return
        with self.store.open(IMAGES, PARTITION) as published:
            yield from complete_rows(refreshed.taken, published, journal)

    def rows(self) -> pa.Table:
        data = self.store.read(IMAGES, PARTITION)
        assert data is not None
        return data

    def numbers(self) -> list[int]:
        """Which images are published, found in the bytes of each."""
        sizes: list[int] = pc.binary_length(pc.struct_field(self.rows()["image"], "bytes")).to_pylist()
        return [size - BYTES for size in sizes]


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Images:
    monkeypatch.setattr(row_groups, "MOST_BYTES", 4 * BYTES)
    return Images(tmp_path)


def test_every_image_is_published_in_its_place(images: Images) -> None:
    assert images.refresh(range(20)).computed == 20
    assert images.numbers() == list(range(20))
    for wanted in (range(5, 30), [*range(30, 20, -1), *range(5)], [7], range(12)):
        images.refresh(wanted)
        assert images.numbers() == list(wanted)
    expected = IMAGES.from_rows([published(number) for number in range(12)])
    assert images.rows().equals(expected)


def test_row_groups_hold_a_few_megabytes(images: Images) -> None:
    images.refresh(range(20))
    file = pq.ParquetFile(images.store.path(IMAGES, PARTITION)).metadata
    rows = [file.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert sum(rows) == 20
    assert max(rows) <= 4
    assert rows_by_group(images.store) == rows


def test_an_image_beyond_the_bound_has_a_row_group_of_its_own(tmp_path: Path) -> None:
    store = ParquetStore(str(tmp_path))
    large = but(image(1, bytes(row_groups.MOST_BYTES + 1)), run_id="run")
    rows = [published(0), large, published(2)]
    store.publish(IMAGES, PARTITION, IMAGES.from_rows(rows))
    read = store.read(IMAGES, PARTITION)
    assert read is not None
    assert IMAGES.rows(read) == rows
    assert rows_by_group(store) == [1, 1, 1]


def test_a_run_that_was_interrupted_is_resumed(images: Images) -> None:
    images.refresh(range(4), "first")

    def die(planned: Sequence[AnyPlanned]) -> Iterator[Row]:
        yield from paint(planned[:3])
        raise KeyboardInterrupt

    previous = images.store.read(IMAGES, PARTITION, IMAGES.without_images)
    with pytest.raises(KeyboardInterrupt), RowJournal(images.folder, IMAGES, PARTITION) as journal:
        refresh(IMAGES, plan(range(2, 12)), previous, journal, die, "killed", print)
    resumed = images.refresh(range(2, 12), "second")
    assert (resumed.reused, resumed.resumed, resumed.computed) == (2, 3, 5)
    assert images.numbers() == list(range(2, 12))
    assert images.rows()["run_id"].to_pylist() == ["first"] * 2 + ["killed"] * 3 + ["second"] * 5


def test_what_is_unchanged_is_known_without_reading_an_image(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    images.refresh(range(100))
    read, total = LocalFileOpener.read, 0

    def counted(opened: LocalFileOpener, length: int = -1) -> bytes:
        nonlocal total
        data: bytes = read(opened, length)
        total += len(data)
        return data

    monkeypatch.setattr(LocalFileOpener, "read", counted)
    assert images.refresh(range(100)).unchanged
    assert 0 < total < 100 * BYTES / 10
