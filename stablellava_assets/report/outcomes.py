"""Which answers tuning fixed and which it broke, and some of both to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stablellava_assets.tables.identity import content_key

FIXED, BROKEN, STILL_RIGHT, STILL_WRONG = "fixed", "broken", "still right", "still wrong"

_LONGEST = 600
"""Characters of a text that are shown. Models have been seen to run on to their token limit."""


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
    """What became of the answers to one benchmark: how many of each outcome, and the chosen examples."""

    counts: Mapping[str, int]
    shown: Mapping[str, Sequence[Change]]


def outcomes(answers: Iterable[Mapping[str, Any]], examples: int) -> Outcomes:
    """The outcomes of one checkpoint's ``ability_answers`` rows of one benchmark.

    At most ``examples`` of those fixed and of those broken are chosen, the abilities in turns, the same ones every time.
    """
    by_item: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in answers:
        by_item.setdefault(row["item_id"], {})[row["model"]] = row
    changes = [_change(item["base"], item["tuned"]) for item in by_item.values() if {"base", "tuned"} <= item.keys()]
    counts = Counter(change.outcome for change in changes)
    return Outcomes(
        {outcome: counts[outcome] for outcome in (FIXED, BROKEN, STILL_RIGHT, STILL_WRONG)},
        {name: _in_turns([one for one in changes if one.outcome == name], examples) for name in (FIXED, BROKEN)},
    )


def shortened(text: str) -> str:
    """A text as it is shown: whole, or its beginning and how much is left out."""
    left_out = len(text) - _LONGEST
    return text if left_out <= 0 else f"{text[:_LONGEST]} … ({left_out:,} more characters)"


def _change(base: Mapping[str, Any], tuned: Mapping[str, Any]) -> Change:
    outcome = {
        (False, True): FIXED,
        (True, False): BROKEN,
        (True, True): STILL_RIGHT,
        (False, False): STILL_WRONG,
    }[bool(base["correct"]), bool(tuned["correct"])]
    return Change(
        outcome=outcome,
        item_id=tuned["item_id"],
        ability=tuned["ability"],
        question_kind=tuned["question_kind"],
        question=shortened(tuned["question"]),
        accepted=[shortened(keyword) for keyword in tuned["accepted"]],
        base=shortened(base["answer"]),
        tuned=shortened(tuned["answer"]),
    )


def _in_turns(changes: Sequence[Change], count: int) -> list[Change]:
    """At most ``count``, one an ability and round, then ordered by ability."""
    rounds: Counter[str] = Counter()
    placed = []
    for change in sorted(changes, key=lambda one: content_key("example", one.item_id)):
        placed.append((rounds[change.ability], change.ability, change.question_kind, change))
        rounds[change.ability] += 1
    chosen = sorted(placed, key=lambda place: place[:3])[:count]
    return [change for *_, change in sorted(chosen, key=lambda place: (place[1], place[2], place[0]))]
