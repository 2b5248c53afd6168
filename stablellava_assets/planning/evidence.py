"""What is known of each ability when a batch is planned: how the newest scored model answers, what the filters keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from stablellava_assets.evaluation.scores.scoring import ALL
from stablellava_assets.evaluation.scores.statistics import wilson_interval
from stablellava_assets.tables.reading import only_made, texts_of
from stablellava_assets.tables.schemas import ABILITY_SCORES, DIALOGUES, FILTERED_PAIRS, LLAVA_CHECKPOINT
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.table import columns_of, rows_of


class _Score(TypedDict):
    """What planning reads of a row of ``ability_scores``."""

    model: str
    benchmark: str
    ability: str
    question_kind: str
    n: int
    correct: int


@dataclass(frozen=True)
class Evidence:
    """One ability: benchmark questions asked of the tuned model and answered right, dialogues written and kept."""

    ability: str
    n: int = 0
    correct: int = 0
    dialogues: int = 0
    kept: int = 0

    @property
    def accuracy(self) -> float | None:
        """``correct / n``; None where nothing was asked."""
        return self.correct / self.n if self.n else None

    @property
    def lower_bound(self) -> float:
        """Lower bound of the accuracy's 95 % Wilson interval; 0 where nothing was asked, since nothing is known then."""
        return wilson_interval(self.correct, self.n)[0] if self.n else 0.0

    @property
    def filter_yield(self) -> float | None:
        """``kept / dialogues``; None where nothing was filtered."""
        return self.kept / self.dialogues if self.dialogues else None


def read_evidence(store: ParquetStore, abilities: Sequence[str], benchmark: str) -> tuple[str | None, list[Evidence]]:
    """The newest checkpoint that ``benchmark`` scored, None where there is none, and what is known of each of ``abilities``.

    Other benchmarks do not count. The yield is that of all batches that went through the filters.

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
    """The checkpoint, and of each ability how many questions it was asked and answered right."""
    checkpoints = texts_of(store.read_all(LLAVA_CHECKPOINT, columns=["checkpoint_id"]), "checkpoint_id")
    for checkpoint in reversed(checkpoints):
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
    """Dialogues written and kept."""
    written = only_made(store.read_all(DIALOGUES, [partition], ["status"]))
    kept = store.read_all(FILTERED_PAIRS, [partition], ["pair_id"])
    return written.num_rows, kept.num_rows
