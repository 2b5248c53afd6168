"""Evidence for planning: the accuracy of the newest scored model and the filter yield, per ability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from stablellava_assets.evaluation.scores.scoring import ALL
from stablellava_assets.evaluation.scores.statistics import wilson_interval
from stablellava_assets.tables.checkpoints import checkpoint_ids
from stablellava_assets.tables.reading import only_made
from stablellava_assets.tables.schemas import ABILITY_SCORES, DIALOGUES, FILTERED_PAIRS
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.table import columns_of, rows_of


class _Score(TypedDict):
    """The columns of ``ability_scores`` that planning uses."""

    model: str
    benchmark: str
    ability: str
    question_kind: str
    n: int
    correct: int


@dataclass(frozen=True)
class Evidence:
    """One ability: benchmark questions and right answers of the tuned model, dialogues written and kept."""

    ability: str
    n: int = 0
    correct: int = 0
    dialogues: int = 0
    kept: int = 0

    @property
    def accuracy(self) -> float | None:
        """``correct / n``; None without questions."""
        return self.correct / self.n if self.n else None

    @property
    def lower_bound(self) -> float:
        """Lower bound of the accuracy's 95 % Wilson interval; 0 without questions."""
        return wilson_interval(self.correct, self.n)[0] if self.n else 0.0

    @property
    def filter_yield(self) -> float | None:
        """``kept / dialogues``; None if nothing was filtered."""
        return self.kept / self.dialogues if self.dialogues else None


def read_evidence(store: ParquetStore, abilities: Sequence[str], benchmark: str) -> tuple[str | None, list[Evidence]]:
    """The newest checkpoint scored on ``benchmark`` (None if there is none), and the evidence on each of ``abilities``.

    Other benchmarks are ignored. The yield is that of all filtered batches.

    Raises:
        StoreError: a table cannot be read.
    """
    checkpoint, scores = _newest_scores(store, benchmark)
    filtered = store.partitions(FILTERED_PAIRS)
    evidence = []
    for ability in abilities:
        n, correct = scores.get(ability, (0, 0))
        counts = [_counts(store, partition) for partition in filtered if partition[0] == ability]
        evidence.append(
            Evidence(
                ability,
                n,
                correct,
                dialogues=sum(written for written, _ in counts),
                kept=sum(kept for _, kept in counts),
            )
        )
    return checkpoint, evidence


def _newest_scores(store: ParquetStore, benchmark: str) -> tuple[str | None, dict[str, tuple[int, int]]]:
    """The checkpoint, and per ability its number of questions and right answers."""
    for checkpoint in reversed(checkpoint_ids(store)):
        rows = rows_of(_Score, store.read_all(ABILITY_SCORES, [(checkpoint,)], columns_of(_Score)))
        scores = {
            row["ability"]: (row["n"], row["correct"])
            for row in rows
            if (row["model"], row["benchmark"], row["question_kind"]) == ("tuned", benchmark, ALL)
        }
        if scores:
            return checkpoint, scores
    return None, {}


def _counts(store: ParquetStore, partition: tuple[str, ...]) -> tuple[int, int]:
    written = only_made(store.read_all(DIALOGUES, [partition], ["status"]))
    # The end of a file tells how many rows it has.
    with store.open(FILTERED_PAIRS, partition, ["pair_id"]) as kept:
        return written.num_rows, sum(kept.rows_by_group)
