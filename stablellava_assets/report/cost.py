"""The cost of the pairs in tokens and dollars, as far as it is known."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from stablellava_assets.tables.schemas import (
    ANSWER_JUDGEMENTS,
    DIALOGUES,
    FILTERED_PAIRS,
    PROMPT_SPECS,
    REFERENCE_ANSWERS,
)
from stablellava_assets.tables.store import ParquetStore

_COLUMNS = ["model", "prompt_tokens", "completion_tokens", "cost_usd"]


@dataclass(frozen=True)
class Cost:
    """The cost of some rows. ``asked`` rows used a model; the price of ``unknown`` of them is not known
    and not included in ``dollars``.
    """

    rows: int
    asked: int
    prompt_tokens: int
    completion_tokens: int
    dollars: float
    unknown: int


@dataclass(frozen=True)
class Costs:
    """The costs of prompts and dialogues, for the kept pairs and for all rows, of judging the answers, and of
    reference models."""

    used: Cost
    written: Cost
    judged: Cost
    referenced: Cost

    @property
    def lines(self) -> list[tuple[str, Cost]]:
        """The costs that involve a model, with their labels."""
        named = (
            ("prompts and dialogues of kept pairs", self.used),
            ("all prompts and dialogues", self.written),
            ("judging this checkpoint's answers", self.judged),
            ("answers of reference models", self.referenced),
        )
        return [(name, cost) for name, cost in named if cost.asked]


def costs_of(store: ParquetStore, checkpoint_id: str) -> Costs:
    """The costs of the current rows of the tables. Each prompt counts once, however many pairs use its image."""
    pairs = store.read_all(FILTERED_PAIRS, columns=["pair_id", "spec_ids"])
    used, written = [], []
    for table, ids in ((PROMPT_SPECS, pc.list_flatten(pairs["spec_ids"])), (DIALOGUES, pairs["pair_id"])):
        rows = store.read_all(table, columns=[table.row_id, *_COLUMNS])
        written.append(rows.select(_COLUMNS))
        used.append(rows.filter(pc.is_in(rows[table.row_id], pa.array(ids.to_pylist(), pa.string()))).select(_COLUMNS))
    judgements = store.read_all(ANSWER_JUDGEMENTS, [(checkpoint_id,)], _COLUMNS)
    answered = ["answered_by", *_COLUMNS[1:]]
    references = store.read_all(REFERENCE_ANSWERS, [(checkpoint_id,)], answered).rename_columns(_COLUMNS)
    return Costs(_cost(pa.concat_tables(used)), _cost(pa.concat_tables(written)), _cost(judgements), _cost(references))


def _cost(rows: pa.Table) -> Cost:
    asked = rows.filter(pc.is_valid(rows["model"]))
    return Cost(
        rows=rows.num_rows,
        asked=asked.num_rows,
        prompt_tokens=pc.sum(asked["prompt_tokens"]).as_py() or 0,
        completion_tokens=pc.sum(asked["completion_tokens"]).as_py() or 0,
        dollars=math.fsum(cost for cost in asked["cost_usd"].to_pylist() if cost is not None),
        unknown=asked["cost_usd"].null_count,
    )
