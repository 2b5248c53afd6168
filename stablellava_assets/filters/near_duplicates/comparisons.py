"""Which earlier kept pairs the verdicts of a partition take into account, and whether these are still the kept ones.

The order of partitions is that of their batches, whenever each of them was filtered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.pair_rows import Comparison
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.schemas import COMPARISONS, FILTERED_PAIRS
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets.tables.table import columns_of, rows_of

KEPT_COLUMNS = ("pair_id", "row_key")
"""The columns of ``filtered_pairs`` that tell what is kept."""

NOTHING = ""
"""The hash :func:`compared_with` of no partitions."""


def batch_first(partition: Partition) -> tuple[str, str]:
    """Sorts partitions of several abilities in the order in which they are compared."""
    ability, batch = partition
    return batch, ability


def sequences(partitions: Iterable[Partition], across_abilities: bool) -> list[list[Partition]]:
    """The partitions in order, each to be compared with those before it in its list."""
    if across_abilities:
        return [sorted(partitions, key=batch_first)]
    by_ability: dict[str, list[Partition]] = {}
    for partition in sorted(partitions):
        by_ability.setdefault(partition[0], []).append(partition)
    return list(by_ability.values())


def kept_version(data: pa.Table) -> str:
    """Hash of kept pairs, rows with at least :data:`KEPT_COLUMNS`, whichever run kept them."""
    return content_key("kept", *(texts_of(data, column) for column in KEPT_COLUMNS))


class KeptVersions:
    """The versions of what is kept in published partitions. Each is read once until it is published again."""

    def __init__(self, store: ParquetStore) -> None:
        self._store = store
        self._known: dict[Partition, tuple[str, str]] = {}

    def of(self, partitions: Iterable[Partition]) -> dict[Partition, str]:
        """The version of each partition that is published.

        Raises:
            StoreError: a partition cannot be read.
        """
        tokens = self._store.versions(FILTERED_PAIRS)
        return {partition: self._of(partition, tokens[partition]) for partition in partitions if partition in tokens}

    def _of(self, partition: Partition, token: str) -> str:
        known = self._known.get(partition)
        if known is None or known[0] != token:
            data = self._store.read_all(FILTERED_PAIRS, [partition], KEPT_COLUMNS)
            known = self._known[partition] = (token, kept_version(data))
        return known[1]


def compared_with(earlier: Mapping[Partition, str]) -> str:
    """Hash of earlier partitions and their versions, in order."""
    digest = NOTHING
    for partition, version in earlier.items():
        digest = followed_by(digest, partition, version)
    return digest


def followed_by(digest: str, partition: Partition, version: str) -> str:
    """The hash :func:`compared_with` of one more partition than ``digest`` covers."""
    return content_key(digest, partition, version)


def comparison(
    partition: Partition, kept: pa.Table, pair_ids: Iterable[str], earlier: Mapping[Partition, str]
) -> pa.Table:
    """The ``comparisons`` table of a partition with these verdicts."""
    ability, batch = partition
    row: Comparison = {
        "partition": "|".join(partition),
        "ability": ability,
        "batch": batch,
        "pairs": judged_key(pair_ids),
        "kept": kept_version(kept),
        "earlier": len(earlier),
        "compared_with": compared_with(earlier),
    }
    return COMPARISONS.from_rows([row])


def judged_key(pair_ids: Iterable[str]) -> str:
    """Hash of the ids of judged pairs, in any order."""
    return content_key("judged", sorted(pair_ids))


def recorded(store: ParquetStore, partition: Partition) -> Comparison | None:
    """What a partition was compared with; None if an earlier version of this program published it."""
    rows: Sequence[Comparison] = rows_of(Comparison, store.read_all(COMPARISONS, [partition], columns_of(Comparison)))
    return rows[0] if rows else None
