"""Answers that tuning fixed or broke, and examples of both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stablellava_assets.evaluation.scores.scoring import answer_verdicts
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.score_rows import AbilityAnswer, AnswerJudgement

FIXED, BROKEN, STILL_RIGHT, STILL_WRONG = "fixed", "broken", "still right", "still wrong"

_LONGEST = 600
"""Maximum number of characters shown of a text, because models may run on to their token limit."""


@dataclass(frozen=True)
class Change:
    """One item that both models answered."""

    outcome: str
    item_id: str
    ability: str
    question_kind: str
    question: str
    accepted: Sequence[str]
    base: str
    tuned: str


@dataclass(frozen=True)
class Outcomes:
    """The answers to one benchmark: the number of each outcome, and examples."""

    counts: Mapping[str, int]
    shown: Mapping[str, Sequence[Change]]


class _AnsweredItem:
    """One model's answers to one item: several if the options of a choice were rotated, else one."""

    def __init__(self) -> None:
        self.rows: dict[int | None, AbilityAnswer] = {}
        self.verdicts: dict[int | None, bool | None] = {}

    def add(self, row: AbilityAnswer, verdict: bool | None) -> None:
        self.rows[row["rotation"]] = row
        self.verdicts[row["rotation"]] = verdict

    @property
    def correct(self) -> bool | None:
        """Right if every answer is, as in scores; None if one has no verdict yet."""
        verdicts = list(self.verdicts.values())
        return None if None in verdicts else all(verdicts)

    @property
    def telling(self) -> int | None:
        """The rotation that decides: the first with a wrong answer, or else the first."""
        return next((rotation for rotation, right in self.verdicts.items() if not right), next(iter(self.verdicts)))


def outcomes(
    answers: Sequence[AbilityAnswer],
    judgements: Sequence[AnswerJudgement],
    judged_kinds: Sequence[str],
    examples: int,
) -> Outcomes:
    """The outcomes of one checkpoint's ``ability_answers`` rows of one benchmark, judged as in scores.

    At most ``examples`` of the fixed and of the broken answers are chosen, round-robin over the
    abilities; the choice is deterministic.
    """
    by_item: dict[str, dict[str, _AnsweredItem]] = {}
    for row, verdict in zip(answers, answer_verdicts(answers, judgements, judged_kinds), strict=True):
        by_item.setdefault(row["item_id"], {}).setdefault(row["model"], _AnsweredItem()).add(row, verdict)
    both = [(item["base"], item["tuned"]) for item in by_item.values() if {"base", "tuned"} <= item.keys()]
    changes = [_change(base, tuned) for base, tuned in both if base.correct is not None and tuned.correct is not None]
    counts = Counter(change.outcome for change in changes)
    return Outcomes(
        {outcome: counts[outcome] for outcome in (FIXED, BROKEN, STILL_RIGHT, STILL_WRONG)},
        {name: _round_robin([one for one in changes if one.outcome == name], examples) for name in (FIXED, BROKEN)},
    )


def shortened(text: str) -> str:
    """A text for display: whole, or its beginning and the number of characters left out."""
    left_out = len(text) - _LONGEST
    return text if left_out <= 0 else f"{text[:_LONGEST]} … ({left_out:,} more characters)"


def _change(asked_base: _AnsweredItem, asked_tuned: _AnsweredItem) -> Change:
    rotation = (asked_base if asked_tuned.correct else asked_tuned).telling
    base, tuned = asked_base.rows[rotation], asked_tuned.rows[rotation]
    outcome = {
        (False, True): FIXED,
        (True, False): BROKEN,
        (True, True): STILL_RIGHT,
        (False, False): STILL_WRONG,
    }[bool(asked_base.correct), bool(asked_tuned.correct)]
    return Change(
        outcome=outcome,
        item_id=tuned["item_id"],
        ability=tuned["ability"],
        question_kind=tuned["question_kind"],
        question=shortened(
            "\n".join([*(turn["value"] for turn in tuned.get("history") or ()), tuned["question"]]).strip()
        ),
        accepted=[shortened(right) for right in _accepted(tuned)],
        base=shortened(base["answer"]),
        tuned=shortened(tuned["answer"]),
    )


def _accepted(answer: AbilityAnswer) -> list[str]:
    """Keywords of which one must be named, or all groups of them in one text."""
    groups = answer.get("accepted_groups")
    return answer["accepted"] if not groups else [", and ".join(" / ".join(group) for group in groups)]


def _round_robin(changes: Sequence[Change], count: int) -> list[Change]:
    """At most ``count``, round-robin over the abilities, then ordered by ability."""
    rounds: Counter[str] = Counter()
    placed = []
    for change in sorted(changes, key=lambda one: content_key("example", one.item_id)):
        placed.append((rounds[change.ability], change.ability, change.question_kind, change))
        rounds[change.ability] += 1
    chosen = sorted(placed, key=lambda place: place[:3])[:count]
    return [change for *_, change in sorted(chosen, key=lambda place: (place[1], place[2], place[0]))]
