"""Keys of planned rows, the examples each was or will be written with, and the rows still to be requested.

A published row keeps the examples it was written with, so that a change of the filters never costs anything.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import pyarrow as pa

from stablellava_assets.authors.chat.examples import Example, ExamplePool
from stablellava_assets.tables.rows import is_settled
from stablellava_assets.tables.schemas import FAILED
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets.tables.table import AnyTable

KeyOf = Callable[[Sequence[str]], str]
"""The key of a row that saw the examples with these ids."""

_Row = tuple[str, str, list[str] | None, str, str | None, str | None]
"""Id, key, example ids, status, fault and settings key of a published row."""


@dataclass(frozen=True)
class KeyedRows:
    """Keys and example ids by row id, in the order of the plan; ``shown`` holds the examples of the open rows.

    ``failed`` are the open rows that were requested before and failed.
    """

    keys: Mapping[str, str]
    example_ids: Mapping[str, tuple[str, ...]]
    open_rows: Sequence[str]
    shown: Mapping[str, Example]
    failed: frozenset[str]

    def blocks(self, block_of: Callable[[str], Hashable]) -> Iterator[tuple[list[str], tuple[Example, ...]]]:
        """The open rows grouped by block and examples, with these examples.

        Blocks do not depend on the number of rows, so the same rows give the same request
        whenever they are requested together.
        """
        blocks: dict[tuple[Hashable, tuple[str, ...]], list[str]] = {}
        for row_id in self.open_rows:
            blocks.setdefault((block_of(row_id), self.example_ids[row_id]), []).append(row_id)
        for (_, example_ids), row_ids in blocks.items():
            yield row_ids, tuple(self.shown[example_id] for example_id in example_ids)


def key_rows(
    store: ParquetStore,
    table: AnyTable,
    partition: Partition,
    key_of: Mapping[str, KeyOf],
    known: Callable[[], ExamplePool],
    most_examples: int,
    settings_key: str,
) -> KeyedRows:
    """Compute the keys of the planned rows of a partition.

    A published row keeps its examples. Other rows use those of the neighbouring published
    rows, or else currently good ones.

    Args:
        store: where the partition may be published.
        table: the table of the planned rows.
        partition: their partition.
        key_of: computes the key of each planned row, by id.
        known: reads the candidate examples; not called if every row is published.
        most_examples: how many to choose.
        settings_key: that of the planned rows, see PlannedRow.
    """
    seen: dict[str, tuple[str, ...]] = {}
    unsettled: dict[str, str] = {}
    columns = [table.row_id, "row_key", "example_ids", "status", "fault", "settings_key"]
    published = store.read(table, partition, columns)
    for row_id, row_key, ids, status, fault, key_then in _columns(published):
        if row_id in key_of and ids is not None and key_of[row_id](ids) == row_key:
            seen[row_id] = tuple(ids)
            if not is_settled(status, fault, key_then, settings_key):
                unsettled[row_id] = status
    open_rows = [row_id for row_id in key_of if row_id not in seen or row_id in unsettled]
    shown: dict[str, Example] = {}
    if open_rows:
        texts = known()
        for seen_ids in dict.fromkeys(seen.values()):
            shown |= texts.find(seen_ids)
        around = next((seen_ids for seen_ids in seen.values() if shown.keys() >= set(seen_ids)), None)
        chosen = texts.choose(most_examples)
        shown |= {example.example_id: example for example in chosen}
        for row_id in open_rows:
            if row_id not in seen or not shown.keys() >= set(seen[row_id]):
                seen[row_id] = around or tuple(example.example_id for example in chosen)
    keys = {row_id: of(seen[row_id]) for row_id, of in key_of.items()}
    failed = frozenset(row_id for row_id, status in unsettled.items() if status == FAILED)
    return KeyedRows(keys, seen, open_rows, shown, failed)


def _columns(published: pa.Table | None) -> Iterator[_Row]:
    if published is not None:
        yield from cast("Iterator[_Row]", zip(*(column.to_pylist() for column in published.columns), strict=True))
