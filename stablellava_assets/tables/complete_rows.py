"""The complete rows of a refreshed partition, images included, of which only a few are in memory at a time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import accumulate, groupby

import pyarrow as pa

from stablellava_assets.tables.journal import RowJournal
from stablellava_assets.tables.store import PartitionFile
from stablellava_assets.tables.table import RowT

_GROUPS_KEPT = 4
"""Groups in memory: rows are planned in nearly the order in which they were published or finished."""


def complete_rows(
    taken: Sequence[int], published: PartitionFile | None, journal: RowJournal[RowT]
) -> Iterator[pa.Table]:
    """The rows of a refreshed partition, in order, a few at a time.

    Args:
        taken: indices into the published rows followed by those of the journal.
        published: the partition as it is published, if it is.
        journal: holds the rows that are not published yet.
    """
    groups: list[Callable[[], pa.Table]] = []
    starts = [0]
    if published is not None:
        groups += [partial(published.group, number) for number in range(len(published.rows_by_group))]
        starts += accumulate(published.rows_by_group)
    groups += [partial(journal.group, number) for number in journal.numbers()]
    read = lru_cache(_GROUPS_KEPT)(lambda number: groups[number]())

    def group_of(index: int) -> int:
        # How many rows a group of the journal has is known once it is read, which is when its rows are wanted.
        while index >= starts[-1]:
            starts.append(starts[-1] + read(len(starts) - 1).num_rows)
        return bisect_right(starts, index) - 1

    for number, run in groupby(taken, key=group_of):
        yield read(number).take(pa.array([index - starts[number] for index in run], pa.int64()))
