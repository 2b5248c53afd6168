"""The kept pairs of earlier batches that a partition's pairs could repeat."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from stablellava_assets.filters.candidates import EARLIER_COLUMNS, Candidate
from stablellava_assets.filters.embeddings.embeddings import Embeddings
from stablellava_assets.filters.near_duplicates.kept_index import KeptIndex
from stablellava_assets.filters.settings import DuplicateSettings
from stablellava_assets.tables.encoded_images import images_of_partitions
from stablellava_assets.tables.pair_rows import ComparedPair
from stablellava_assets.tables.schemas import FILTERED_PAIRS, IMAGES
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets.tables.table import rows_of


class EarlierPairs:
    """Kept pairs of earlier batches of the same ability, or of all abilities if the settings say so.

    Args:
        store: the tables.
        folder: local folder of the indexes.
        settings: what counts as a repeat, and whether abilities are compared with each other.
    """

    def __init__(self, store: ParquetStore, folder: Path, settings: DuplicateSettings) -> None:
        self._store = store
        self._folder = folder
        self._settings = settings

    @cached_property
    def embeddings(self) -> Embeddings | None:
        """Embeddings of all pairs seen so far; None if the settings name no embedding model."""
        if self._settings.semantic_text is None and self._settings.embedded_images is None:
            return None
        return Embeddings(self._settings, self._folder / "embeddings")

    def in_order(self, partitions: Sequence[Partition]) -> list[Partition]:
        """The partitions of a run, each after those that it is compared with."""
        return sorted(partitions, key=_batch_first) if self._settings.across_abilities else list(partitions)

    def repeatable_by(self, partition: Partition, candidates: Sequence[Candidate]) -> list[ComparedPair]:
        """The kept pairs that ``candidates`` of ``partition`` could repeat, in the order in which they were kept.

        Raises:
            PretrainedModelError: an embedding model cannot be loaded.
            KeptIndexError: the index is damaged.
            StoreError: an earlier partition cannot be read.
        """
        pairs = [candidate.compared for candidate in candidates]
        if self.embeddings is not None:
            self.embeddings.load(pairs, lambda: self._pictures_of(pairs, [partition]))
        before = self._before(partition)
        if not before:
            return []
        name = "every-ability" if self._settings.across_abilities else partition[0]
        index = KeptIndex(self._folder / FILTERED_PAIRS.name, name, self._settings, self.embeddings)
        index.sync({other: self._store.version(FILTERED_PAIRS, other) for other in before}, self._read)
        found = index.repeatable_by(pairs, before)
        if self.embeddings is not None:
            self.embeddings.load(found, lambda: self._pictures_of(found, before))
        return found

    def _before(self, partition: Partition) -> list[Partition]:
        published = self._store.partitions(FILTERED_PAIRS)
        if self._settings.across_abilities:
            earlier = (other for other in published if _batch_first(other) < _batch_first(partition))
            return sorted(earlier, key=_batch_first)
        ability, batch = partition
        return [other for other in published if other[0] == ability and other[1] < batch]

    def _read(self, partition: Partition) -> list[ComparedPair]:
        data = self._store.read(FILTERED_PAIRS, partition, EARLIER_COLUMNS)
        pairs: list[ComparedPair] = [] if data is None else rows_of(ComparedPair, data)
        if self.embeddings is not None:
            self.embeddings.load(pairs, lambda: self._pictures_of(pairs, [partition]))
        return pairs

    def _pictures_of(self, pairs: Sequence[ComparedPair], partitions: Sequence[Partition]) -> dict[str, bytes]:
        images = images_of_partitions(self._store, IMAGES, partitions)
        return dict(images({pair["image_ids"][0] for pair in pairs}))


def _batch_first(partition: Partition) -> tuple[str, str]:
    ability, batch = partition
    return batch, ability
