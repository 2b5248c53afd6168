"""Who reads images has a few of them in memory, and reads no more than it looks at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from stablellava_assets.authors.chat.pictures import MissingPictureError, Pictures
from stablellava_assets.evaluation.answers.pictures import PublishedPictures
from stablellava_assets.exports.selection import read_pairs
from stablellava_assets.filters.benchmark_fingerprints import ItemToAvoid, with_hashes
from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.filters.judge import judge
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.tables import row_groups
from stablellava_assets.tables.encoded_images import PublishedImages, bytes_of_images, images_of_partitions
from stablellava_assets.tables.schemas import ABILITY_BENCHMARK, IMAGES
from stablellava_assets.tables.store import ParquetStore, PartitionFile
from stablellava_assets_tests.filters.pairs import NO_BENCHMARK, candidate, png
from stablellava_assets_tests.gallery.galleries import gallery_of
from stablellava_assets_tests.published_pairs import ANIMALS, animal, publish
from stablellava_assets_tests.tables.made_up import Row, but
from stablellava_assets_tests.tables.rows_of import image

PARTITION = ("animal", "0001")
SIDE, COUNT = 40, 24
A_PICTURE = 3 * SIDE * SIDE


def noise(number: int) -> bytes:
    return png(np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))


class Reads:
    """What is read of the images: bytes, and the most in one piece."""

    def __init__(self) -> None:
        self.groups: list[int] = []

    @property
    def pictures(self) -> float:
        return sum(self.groups) / A_PICTURE

    @property
    def most(self) -> float:
        return max(self.groups) / A_PICTURE


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reads]:
    """Row groups hold four pictures; reading a partition's pictures at once is an error."""
    monkeypatch.setattr(row_groups, "MOST_BYTES", int(4.5 * A_PICTURE))
    seen = Reads()
    read, group = PartitionFile.read, PartitionFile.group

    def whole(self: PartitionFile, columns: Any = None) -> pa.Table:
        data = read(self, columns)
        assert "image" not in data.column_names
        return data

    def noted(self: PartitionFile, number: int, columns: Any = None) -> pa.Table:
        data = group(self, number, columns)
        if "image" in data.column_names:
            seen.groups.append(data["image"].nbytes)
        return data

    monkeypatch.setattr(PartitionFile, "read", whole)
    monkeypatch.setattr(PartitionFile, "group", noted)
    yield seen
    assert not seen.groups or seen.most < 5


@pytest.fixture
def store(tmp_path: Path, reads: Reads) -> ParquetStore:
    store = ParquetStore(str(tmp_path / "tables"))
    rows = [but(image(number, noise(number)), run_id="run", width=SIDE, height=SIDE) for number in range(COUNT)]
    rows[7] = but(rows[7], image=None, status="failed", reason="refused")
    store.publish(IMAGES, PARTITION, IMAGES.from_rows(rows))
    return store


def image_ids(*numbers: int) -> list[str]:
    return [image(number, b"")["image_id"] for number in numbers]


def test_wanted_images_come_in_order_and_others_are_not_read(store: ParquetStore, reads: Reads) -> None:
    images = PublishedImages(store, IMAGES, PARTITION)
    found = list(images([*image_ids(21, 7, 2, 1), "unknown"]))
    assert found == [(name, noise(number)) for name, number in zip(image_ids(1, 2, 21), (1, 2, 21), strict=True)]
    assert reads.pictures < 13
    assert list(images([])) == []
    assert list(PublishedImages(store, IMAGES, ("animal", "0002"))(image_ids(1))) == []
    assert len(list(images_of_partitions(store, IMAGES, [("animal", "0002"), PARTITION])(image_ids(1, 2)))) == 2


def test_single_images_in_nearly_their_order_are_read_once(store: ParquetStore, reads: Reads) -> None:
    pictures = Pictures(store, PARTITION)
    for number in (1, 0, 3, 2, 5, 4, 6, 9, 8, 11, 10, *range(12, COUNT)):
        assert pictures.encoded(*image_ids(number))[0] == noise(number)
    assert reads.pictures < COUNT + 1
    for unknown in (*image_ids(7), "unknown"):
        with pytest.raises(MissingPictureError, match="is not published"):
            pictures.encoded(unknown)


def test_a_partition_that_is_published_again_meanwhile_is_not_mixed_up(store: ParquetStore) -> None:
    images = PublishedImages(store, IMAGES, PARTITION)
    assert images.one(*image_ids(3)) is not None
    found = images(image_ids(1, 20))
    assert next(found)[1] == noise(1)
    moved = [but(image(number, noise(number)), run_id="again") for number in range(10, COUNT)]
    store.publish(IMAGES, PARTITION, IMAGES.from_rows(moved))
    assert next(found)[1] == noise(20), "an open file stays what it was"
    single = images.one(*image_ids(20))
    assert single is not None
    assert single["bytes"] == noise(20)
    assert images.one(*image_ids(5)) is None


def test_the_size_of_images_is_known_without_reading_them(store: ParquetStore, reads: Reads) -> None:
    del reads.groups[:]
    size = bytes_of_images(store, IMAGES, [PARTITION, ("animal", "0002")], image_ids(1, 2, 21))
    assert size == pytest.approx(sum(len(noise(number)) for number in (1, 2, 21)), rel=0.1)
    assert not reads.groups


def test_filters_look_at_each_picture_once_and_at_none_again(store: ParquetStore, reads: Reads) -> None:
    rows = [image(number, noise(number)) for number in range(COUNT) if number != 7]
    pairs = []
    for number, row in enumerate(rows):
        pair = candidate(f"pair {number}", answer=f"A koala is on branch {number}.")
        pairs.append(Candidate(but(pair.dialogue, image_ids=[row["image_id"]]), pair.spec, row))
        row["width"] = row["height"] = SIDE
    images = PublishedImages(store, IMAGES, PARTITION)
    before = judge(pairs, images, [], NO_BENCHMARK, FilterSettings())
    assert all(verdict["image_spread"] for verdict in before.rows)
    assert reads.pictures < COUNT + 1
    del reads.groups[:]
    again = judge(pairs, images, [], NO_BENCHMARK, FilterSettings(), [but(row, run_id="run") for row in before.rows])
    assert (again.reused, reads.groups) == (len(pairs), [])


def test_a_picture_that_is_gone_is_a_broken_one(store: ParquetStore) -> None:
    images = PublishedImages(store, IMAGES, PARTITION)
    (row,) = judge([candidate("gone")], images, [], NO_BENCHMARK, FilterSettings()).rows
    assert "broken_image" in [found["rule"] for found in row["findings"]]


def test_benchmark_items_are_hashed_once(tmp_path: Path, reads: Reads) -> None:
    store = ParquetStore(str(tmp_path))
    items: list[Row] = [item(number) for number in range(COUNT)]
    store.publish(ABILITY_BENCHMARK, ("animal",), ABILITY_BENCHMARK.from_rows(items))
    images = images_of_partitions(store, ABILITY_BENCHMARK, [("animal",)])
    known: list[ItemToAvoid] = [but(each) for each in items]
    assert with_hashes(known, images) == known
    assert not reads.groups
    earlier: list[ItemToAvoid] = [but(each, sha256=None) for each in items]
    assert with_hashes(earlier, images) == known
    assert reads.pictures < COUNT + 1


def item(number: int) -> Row:
    made = image(number, noise(number))
    rest = {column.name: None for column in ABILITY_BENCHMARK.columns}
    kept = {name: value for name, value in made.items() if name in rest}
    lists: Row = {"options": [], "accepted": ["koala"], "refused": []}
    return {**rest, **kept, **lists, "item_id": f"item {number}", "prompt": "((koala))", "run_id": "run"}


def test_questions_are_asked_in_any_order_from_a_copy(tmp_path: Path, reads: Reads) -> None:
    store = ParquetStore(str(tmp_path / "tables"))
    rows = [item(number) for number in range(COUNT)]
    rows[5]["further_images"] = [{"bytes": noise(number), "path": None} for number in (COUNT, COUNT + 1)]
    store.publish(ABILITY_BENCHMARK, ("animal",), ABILITY_BENCHMARK.from_rows(rows))
    published = PublishedPictures(images_of_partitions(store, ABILITY_BENCHMARK, [("animal",)]), tmp_path)
    pictures = published.of([row["item_id"] for row in rows])
    assert len({each.key for of_item in pictures.values() for each in of_item}) == COUNT + 2
    with published.copied(pictures):
        for number in (20, 3, 5, 11, 3):
            read = [each.encoded for each in pictures[f"item {number}"]]
            further = (COUNT, COUNT + 1) if number == 5 else ()
            assert [each() for each in read if callable(each)] == [noise(one) for one in (number, *further)]
    assert reads.pictures < 2 * COUNT + 2
    assert [path.name for path in tmp_path.iterdir()] == ["tables"], "the copy is gone"


def test_exports_and_galleries_read_each_picture_once(tmp_path: Path, reads: Reads) -> None:
    shown = [
        animal(name, picture=noise(number), side=SIDE, spec=f"spec {number:02d}") for number, name in enumerate(ANIMALS)
    ]
    again = [
        animal(
            f"{name} again",
            subject=name,
            prompt=f"(({name})), meadow",
            answer=f"Look: a {name}, asleep.",
            question="<image>\nAnd now?",
            spec=f"spec {number:02d}",
            picture=noise(number),
            side=SIDE,
        )
        for number, name in enumerate(ANIMALS)
    ]
    store = publish(tmp_path, [pair for both in zip(shown, again, strict=True) for pair in both])
    pairs = {pair.pair_id: pair.pictures[0].encoded for pair in read_pairs(store, [PARTITION])}
    assert len(pairs) == 2 * len(ANIMALS)
    assert pairs == {pair_id: noise(ANIMALS.index(pair_id.split()[0])) for pair_id in pairs}
    assert reads.pictures < len(ANIMALS) + 1
    del reads.groups[:]
    gallery = gallery_of(store, tmp_path / "gallery", every_pair=True)
    assert gallery.publish() == 1
    files = [path for path in (tmp_path / "gallery/batches").rglob("*") if path.suffix not in ("", ".js")]
    assert len(files) == len(ANIMALS)
    assert reads.pictures < len(ANIMALS) + 1
