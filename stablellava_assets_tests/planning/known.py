"""Tables of a store from which batches are planned: scores of checkpoints, dialogues that were written and kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from stablellava_assets.evaluation.benchmark import PAINTED
from stablellava_assets.evaluation.photographs.items import PHOTOGRAPHS
from stablellava_assets.tables.schemas import ABILITY_SCORES, DIALOGUES, FILTERED_PAIRS, LLAVA_CHECKPOINT, MADE
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.table import AnyTable
from stablellava_assets_tests.tables.made_up import Row

N = 150
_OF_TYPE: list[tuple[Any, Any]] = [
    (pa.types.is_list, []),
    (pa.types.is_string, ""),
    (pa.types.is_integer, 0),
    (pa.types.is_floating, 0.0),
    (pa.types.is_timestamp, datetime(2026, 1, 1, tzinfo=UTC)),
]


def row(table: AnyTable, **values: Any) -> Row:
    """A row of ``table`` with the given values, and something of the right type elsewhere."""
    filled = {field.name: next((value for fits, value in _OF_TYPE if fits(field.type)), None) for field in table.schema}
    return filled | values


def publish_scores(
    store: ParquetStore, checkpoint: str, correct: dict[str, int], photographs: dict[str, int] | None = None
) -> None:
    """A checkpoint after those that are there, and of :data:`N` questions an ability, how many it answers right.

    ``photographs`` are the same of the real ones.
    """
    before = store.read_all(LLAVA_CHECKPOINT).to_pylist()
    checkpoints = [*before, row(LLAVA_CHECKPOINT, checkpoint_id=checkpoint)]
    store.publish(LLAVA_CHECKPOINT, (), LLAVA_CHECKPOINT.from_rows(checkpoints))
    scores = [
        row(
            ABILITY_SCORES,
            checkpoint_id=checkpoint,
            model=model,
            benchmark=benchmark,
            ability=ability,
            question_kind=kind,
            n=N,
            correct=right,
        )
        for benchmark, of_abilities in ((PAINTED, correct), (PHOTOGRAPHS, photographs or {}))
        for ability, count in of_abilities.items()
        # Neither the base nor a single kind of question may count.
        for model, kind, right in (("tuned", "all", count), ("base", "all", 0), ("tuned", "what", 0))
    ]
    store.publish(ABILITY_SCORES, (checkpoint,), ABILITY_SCORES.from_rows(scores))


def publish_pairs(store: ParquetStore, ability: str, batch: str, written: int, kept: int) -> None:
    """A batch that went through the filters."""
    dialogues = [row(DIALOGUES, pair_id=str(at), status=MADE) for at in range(written)]
    pairs = [row(FILTERED_PAIRS, pair_id=str(at)) for at in range(kept)]
    store.publish(DIALOGUES, (ability, batch), DIALOGUES.from_rows(dialogues))
    store.publish(FILTERED_PAIRS, (ability, batch), FILTERED_PAIRS.from_rows(pairs))
