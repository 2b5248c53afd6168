"""The kept pairs of earlier batches that a partition's pairs could repeat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from stablellava_assets.filters.candidates import EARLIER_COLUMNS
from stablellava_assets.filters.embeddings.embeddings import Embeddings
from stablellava_assets.filters.near_duplicates.comparisons import (
    NOTHING,
    KeptVersions,
    batch_first,
    comparison,
    followed_by,
    kept_version,
    recorded,
    sequences,
)
from stablellava_assets.filters.near_duplicates.kept_lookup import KeptChangedError, KeptLookup
from stablellava_assets.filters.settings import DuplicateSettings
from stablellava_assets.tables.encoded_images import PublishedImages
from stablellava_assets.tables.pair_rows import ComparedPair, Verdict
from stablellava_assets.tables.schemas import FILTERED_PAIRS, IMAGES
from stablellava_assets.tables.store import ParquetStore, Partition, StoreError
from stablellava_assets.tables.table import rows_of

_TRIES = 5


class Repeatable(NamedTuple):
    """Kept pairs that some pairs could repeat, in the order in which they were kept; and the version of what is kept
    in every partition that these were compared with."""

    pairs: list[ComparedPair]
    earlier: Mapping[Partition, str]


class EarlierPairs:
    """Kept pairs of earlier batches of the same ability, or of all abilities if the settings say so.

    Args:
        store: the tables.
        folder: local folder where embeddings are kept.
        settings: what counts as a repeat, and whether abilities are compared with each other.
    """

    def __init__(self, store: ParquetStore, folder: Path, settings: DuplicateSettings) -> None:
        self._store = store
        self._folder = folder
        self._settings = settings
        self._kept = KeptVersions(store)

    @cached_property
    def embeddings(self) -> Embeddings | None:
        """Embeddings of all pairs seen so far; None if the settings name no embedding model."""
        if self._settings.semantic_text is None and self._settings.embedded_images is None:
            return None
        return Embeddings(self._settings, self._folder / "embeddings")

    def in_order(self, partitions: Sequence[Partition]) -> list[Partition]:
        """The partitions of a run, each after those that it is compared with."""
        return sorted(partitions, key=batch_first) if self._settings.across_abilities else list(partitions)

    def repeatable_by(self, partition: Partition, pairs: Sequence[ComparedPair]) -> Repeatable:
        """What ``pairs`` of ``partition`` could repeat.

        Args:
            partition: compared with the published partitions before it.
            pairs: its pairs, whether they are kept or not.

        Raises:
            PretrainedModelError: an embedding model cannot be loaded.
            StoreError: an earlier partition cannot be read.
        """
        if self.embeddings is not None:
            self.embeddings.load(pairs, PublishedImages(self._store, IMAGES, partition))
        for _ in range(_TRIES):
            earlier = self._kept.of(self._before(partition))
            try:
                found = self._lookup.repeatable_by(pairs, earlier)
            except KeptChangedError:
                continue  # Another run filtered it meanwhile.
            return Repeatable(found, earlier)
        raise StoreError(f"{'|'.join(partition)}: earlier batches are published faster than they are read; run again")

    def comparison(
        self, partition: Partition, judged: Sequence[Verdict], kept: pa.Table, found: Repeatable
    ) -> pa.Table:
        """The ``comparisons`` table of a partition whose verdicts take ``found`` into account."""
        return comparison(partition, kept, (row["pair_id"] for row in judged), found.earlier)

    def index(self, partition: Partition, kept: pa.Table) -> None:
        """Publish the lookup keys of kept pairs that are about to be published."""
        published = self._kept.of([partition]).get(partition)
        pairs = rows_of(ComparedPair, kept.select(EARLIER_COLUMNS))
        self._lookup.add(partition, kept_version(kept), pairs, published)

    def later_and_outdated(self, partition: Partition, kept: pa.Table) -> list[Partition]:
        """The published partitions after ``partition`` that were not compared with its pairs ``kept``."""
        published = {*self._store.partitions(FILTERED_PAIRS), partition}
        (sequence,) = (
            sequence for sequence in sequences(published, self._settings.across_abilities) if partition in sequence
        )
        if partition == sequence[-1]:
            return []
        versions = {**self._kept.of(sequence), partition: kept_version(kept)}
        found, digest, is_later = [], NOTHING, False
        for other in sequence:
            if is_later and ((known := recorded(self._store, other)) is None or known["compared_with"] != digest):
                found.append(other)
            is_later |= other == partition
            digest = followed_by(digest, other, versions.get(other, ""))
        return found

    @cached_property
    def _lookup(self) -> KeptLookup:
        return KeptLookup(self._store, self._settings, self.embeddings, self._load)

    def _before(self, partition: Partition) -> list[Partition]:
        published = self._store.partitions(FILTERED_PAIRS)
        if self._settings.across_abilities:
            earlier = (other for other in published if batch_first(other) < batch_first(partition))
            return sorted(earlier, key=batch_first)
        ability, batch = partition
        return [other for other in published if other[0] == ability and other[1] < batch]

    def _load(self, partition: Partition, pairs: Sequence[ComparedPair]) -> None:
        if self.embeddings is not None:
            self.embeddings.load(pairs, PublishedImages(self._store, IMAGES, partition))
