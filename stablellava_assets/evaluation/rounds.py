"""Rounds: every scored checkpoint compared with the one before, over the questions that both were asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypedDict

from stablellava_assets.evaluation.kinds import TUNED
from stablellava_assets.evaluation.scoreboard import p_value_text
from stablellava_assets.evaluation.scores.scoring import score_answers
from stablellava_assets.evaluation.scores.verdicts import ALL
from stablellava_assets.tables.checkpoints import checkpoint_ids, checkpoints
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.schemas import ABILITY_ANSWERS, ABILITY_SCORES
from stablellava_assets.tables.score_rows import AbilityAnswer, JudgedScore
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.text.tables import table

ROUND_HEADER = ("round", "checkpoint", "pairs", "accuracy", "95 %", "gain", "95 % of the gain")
"""Names of what :func:`round_line` gives."""
_STALLED_AFTER = 2
"""Rounds without a gain after which another one is not worth its cost."""


class _Tuned(TypedDict):
    checkpoint_id: str
    pairs: int


@dataclass(frozen=True)
class Round:
    """A checkpoint's scores over all kinds of question, by ability; their difference is to the round before, null in
    the first one.

    ``number`` counts from 1.
    """

    number: int
    checkpoint_id: str
    pairs: int
    scores: Sequence[JudgedScore]

    @property
    def total(self) -> JudgedScore:
        """The score over all abilities."""
        return next(row for row in self.scores if row["ability"] == ALL)

    @property
    def gained(self) -> bool | None:
        """Whether the interval of the gain over all abilities is above zero; None if nothing can be compared."""
        low = self.total["difference_low"]
        return None if low is None else low > 0


def read_rounds(store: ParquetStore, benchmark: str, last: str | None = None) -> list[Round]:
    """The rounds in order, up to the checkpoint ``last`` (the newest by default).

    Answers count as the keywords say. Two rounds are compared over the items with the same question and image.

    Raises:
        StoreError: a table cannot be read.
    """
    rounds: list[Round] = []
    before: list[AbilityAnswer] = []
    for tuned in checkpoints(store, _Tuned):
        partition = (tuned["checkpoint_id"],)
        answers = ABILITY_ANSWERS.rows(store.read_all(ABILITY_ANSWERS, [partition]))
        answers = [row for row in answers if (row["model"], row["benchmark"]) == (TUNED, benchmark)]
        if answers and store.holds(ABILITY_SCORES, partition):
            scores = score_answers([*_named(before, "base", *partition), *_named(answers, TUNED, *partition)])
            of_round = [row for row in scores if (row["model"], row["question_kind"]) == (TUNED, ALL)]
            rounds.append(Round(len(rounds) + 1, *partition, tuned["pairs"], of_round))
            before = answers
        if partition == (last,):
            break
    return rounds


def rounds_to_compare(store: ParquetStore, benchmark: str, last: str | None = None) -> list[Round]:
    """As :func:`read_rounds`; nothing is read and scored if there is a single checkpoint.

    Raises:
        StoreError: a table cannot be read.
    """
    return read_rounds(store, benchmark, last) if len(checkpoint_ids(store)) > 1 else []


def _named(answers: Iterable[AbilityAnswer], model: str, checkpoint_id: str) -> list[AbilityAnswer]:
    """Answers as those of one model of a comparison; an item that was changed is another one."""
    named: list[AbilityAnswer] = []
    for row in answers:
        # A choice is one item in all rotations, although each words the question in its own way.
        asked = row["question"] if row["rotation"] is None else None
        item_id = content_key(row["item_id"], asked, row["picture"])
        named.append({**row, "model": model, "checkpoint_id": checkpoint_id, "item_id": item_id})
    return named


def stalled(rounds: Sequence[Round]) -> bool:
    """Whether neither of the last two rounds shows a gain over all abilities."""
    last = rounds[-_STALLED_AFTER:]
    return len(last) == _STALLED_AFTER and all(one.gained is False for one in last)


def gains_table(of: Round, *, markdown: bool) -> str:
    """What a round gained, one row per ability; the total comes last."""
    lines = [
        (
            "all abilities" if row["ability"] == ALL else row["ability"],
            str(row["n"]),
            f"{row['accuracy']:.3f}",
            *_gain(row),
            p_value_text(row["p_holm"]),
            row["verdict"] or "",
        )
        for row in of.scores
    ]
    header = ("ability", "n", "accuracy", "gain", "95 % of the gain", "p (Holm)", "verdict")
    return table(header, lines, markdown=markdown, rules=(len(lines) - 1,))


def rounds_table(rounds: Sequence[Round], *, markdown: bool) -> str:
    """One row per round, over all abilities."""
    return table(ROUND_HEADER, [round_line(one) for one in rounds], markdown=markdown)


def round_line(of: Round) -> Sequence[str]:
    """Number, checkpoint, pairs, accuracy and gain over all abilities, with intervals."""
    total = of.total
    interval = f"{total['interval_low']:.3f} to {total['interval_high']:.3f}"
    checkpoint = of.checkpoint_id[:12]
    return str(of.number), checkpoint, f"{of.pairs:,}", f"{total['accuracy']:.3f}", interval, *_gain(total)


def _gain(row: JudgedScore) -> tuple[str, str]:
    if row["difference"] is None:
        return "", ""
    return f"{row['difference']:+.3f}", f"{row['difference_low']:+.3f} to {row['difference_high']:+.3f}"
