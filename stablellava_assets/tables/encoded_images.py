"""The encoded images of a published partition, of which only a row group is in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property, lru_cache
from itertools import accumulate, islice, pairwise

from stablellava_assets.tables.pair_rows import EncodedImage
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.store import ParquetStore, Partition, RepublishedError
from stablellava_assets.tables.table import AnyTable

_GROUPS_KEPT = 4
"""Groups in memory for reading single images, which are asked for in nearly the order of the table."""

EncodedImages = Callable[[Collection[str]], Iterator[tuple[str, bytes]]]
"""Yields the wanted images that exist, by the id of their row, in the order in which they are stored; the images of a
row that has several follow each other."""


class PublishedImages:
    """The images of one partition, an :data:`EncodedImages`. Row groups without a wanted image are not read.

    Args:
        store: the tables.
        table: a table with a column ``image``.
        partition: may be unpublished, in which case there are no images.
    """

    def __init__(self, store: ParquetStore, table: AnyTable, partition: Partition) -> None:
        self._store = store
        self._table = table
        self._partition = partition
        self._columns = [table.row_id, "image"]
        self._several = "further_images" in table.schema.names
        self._all = [*self._columns, *(["further_images"] if self._several else [])]
        self._group = lru_cache(_GROUPS_KEPT)(self._read_group)

    def __call__(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """The wanted images.

        Raises:
            StoreError: the partition cannot be read, or was published again meanwhile.
        """
        wanted = set(wanted)
        if not wanted:
            return
        try:
            with self._store.open(self._table, self._partition, [self._table.row_id]) as file:
                ids = texts_of(file.read([self._table.row_id]), self._table.row_id)
            with self._store.open(self._table, self._partition, self._all) as file:
                for number, (start, end) in enumerate(pairwise(accumulate(file.rows_by_group, initial=0))):
                    if rows := [row for row in range(start, end) if row < len(ids) and ids[row] in wanted]:
                        data = file.group(number, self._all)
                        if texts_of(data, self._table.row_id) != ids[start:end]:
                            raise RepublishedError(
                                f"{self._store.path(self._table, self._partition)}: was published again while it was "
                                "read; run again"
                            )
                        for row in rows:
                            if (image := data["image"][row - start].as_py()) is not None:
                                yield ids[row], image["bytes"]
                            if self._several:
                                further = data["further_images"][row - start].as_py()
                                yield from ((ids[row], image["bytes"]) for image in further or ())
        except FileNotFoundError:
            return

    def one(self, row_id: str) -> EncodedImage | None:
        """A single image; None if there is none. Neighbours of images read before are in memory.

        Raises:
            StoreError: the partition cannot be read.
        """
        number = self._group_of.get(row_id)
        if number is not None and row_id not in self._group(number):
            # Published again meanwhile.
            self.__dict__.pop("_group_of")
            self._group.cache_clear()
            number = self._group_of.get(row_id)
        return None if number is None else self._group(number).get(row_id)

    @cached_property
    def _group_of(self) -> dict[str, int]:
        """The row group of each image."""
        try:
            with self._store.open(self._table, self._partition, [self._table.row_id]) as file:
                ids = iter(texts_of(file.read([self._table.row_id]), self._table.row_id))
                return {next(ids): number for number, count in enumerate(file.rows_by_group) for _ in range(count)}
        except FileNotFoundError:
            return {}

    def _read_group(self, number: int) -> dict[str, EncodedImage | None]:
        with self._store.open(self._table, self._partition, self._columns) as file:
            if number >= len(file.rows_by_group):
                return {}
            data = file.group(number, self._columns)
        return dict(zip(texts_of(data, self._table.row_id), data["image"].to_pylist(), strict=True))


def images_of_partitions(store: ParquetStore, table: AnyTable, partitions: Iterable[Partition]) -> EncodedImages:
    """The images of several partitions, one partition after the other."""
    partitions = list(partitions)

    def images(wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        for partition in partitions if wanted else ():
            yield from PublishedImages(store, table, partition)(wanted)

    return images


def bytes_of_images(
    store: ParquetStore, table: AnyTable, partitions: Iterable[Partition], wanted: Collection[str]
) -> int:
    """About how many bytes the wanted images have, by the mean of their row groups; none of them are read.

    Raises:
        StoreError: a partition cannot be read.
    """
    wanted, found = set(wanted), 0.0
    for partition in partitions:
        try:
            with store.open(table, partition, [table.row_id]) as file:
                ids = iter(texts_of(file.read([table.row_id]), table.row_id))
                for number, count in enumerate(file.rows_by_group):
                    chosen = sum(row_id in wanted for row_id in islice(ids, count))
                    found += file.bytes_of(number, "image") * chosen / count if chosen else 0
        except FileNotFoundError:
            continue
    return round(found)
