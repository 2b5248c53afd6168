"""The rows of ``llava_checkpoint`` in order. Each has its own partition; a column tells which is the current one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from stablellava_assets.tables.schemas import LLAVA_CHECKPOINT
from stablellava_assets.tables.score_rows import Checkpoint
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.table import RowT, columns_of

_BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def checkpoints(store: ParquetStore, kind: type[RowT]) -> list[RowT]:
    """The columns of ``kind`` of every checkpoint, the current one last.

    Raises:
        StoreError: a file cannot be read.
    """
    wanted = columns_of(kind)
    found = store.read_all(LLAVA_CHECKPOINT, columns=list(dict.fromkeys([*wanted, "checkpoint_id", "current_since"])))
    rows: dict[str, Any] = {}
    # Rows of earlier versions have no time, and are in order.
    for row in sorted(found.to_pylist(), key=lambda row: row["current_since"] or _BEFORE_ALL):
        rows.pop(row["checkpoint_id"], None)
        rows[row["checkpoint_id"]] = {name: row[name] for name in wanted}
    return list(rows.values())


def checkpoint_ids(store: ParquetStore) -> list[str]:
    """The ids of all checkpoints, the current one last.

    Raises:
        StoreError: a file cannot be read.
    """
    return [row["checkpoint_id"] for row in checkpoints(store, Checkpoint)]


def current_from_now(history: Sequence[Checkpoint]) -> datetime:
    """A time for a checkpoint that becomes the current one, later than those of ``history``, whatever clocks say."""
    return max([datetime.now(UTC), *(since + _TICK for row in history if (since := row["current_since"]) is not None)])


def divide_earlier(store: ParquetStore) -> None:
    """Give each row of the single file of earlier versions its own partition. One process may do so at a time.

    Raises:
        StoreError: a file cannot be read or written.
    """
    earlier = store.read(LLAVA_CHECKPOINT, ())
    if earlier is None:
        return
    since = _BEFORE_ALL
    for row in LLAVA_CHECKPOINT.rows(earlier):
        since = max(since + _TICK, row["created_at"])
        partition = (row["checkpoint_id"],)
        if not store.holds(LLAVA_CHECKPOINT, partition):
            store.publish(LLAVA_CHECKPOINT, partition, LLAVA_CHECKPOINT.from_rows([{**row, "current_since": since}]))
    store.withdraw(LLAVA_CHECKPOINT, ())
