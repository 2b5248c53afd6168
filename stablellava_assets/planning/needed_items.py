"""How many benchmark items it takes to show a gain, per ability, from what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from stablellava_assets.evaluation.benchmark import PAINTED
from stablellava_assets.evaluation.scores.power import detectable_gain, independent_discordance, needed_items
from stablellava_assets.evaluation.scores.statistics import SIGNIFICANCE
from stablellava_assets.evaluation.scores.verdicts import ALL
from stablellava_assets.tables.checkpoints import checkpoint_ids
from stablellava_assets.tables.schemas import ABILITY_SCORES
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.table import columns_of, rows_of
from stablellava_assets.text.tables import aligned_table, number_text

_UNKNOWN_ACCURACY = 0.5
"""Where independent models would disagree most."""


class _Score(TypedDict):
    """The columns of ``ability_scores`` that tell how many items are needed."""

    model: str
    benchmark: str
    ability: str
    question_kind: str
    n: int
    accuracy: float
    discordance: float | None


@dataclass(frozen=True)
class NeededItems:
    """What one ability of one benchmark has to be asked.

    ``tests`` is the number of abilities among which Holm's correction is made. ``discordance`` is None if it was not
    measured, and so is ``base``, the accuracy before tuning.
    """

    benchmark: str
    ability: str
    tests: int
    asked: int | None = None
    base: float | None = None
    discordance: float | None = None

    def assumed_discordance(self, gain: float) -> float:
        """The measured share of items that only one model answers right, or else that of independent models."""
        if self.discordance is not None:
            return self.discordance
        return independent_discordance(_UNKNOWN_ACCURACY if self.base is None else self.base, gain)

    def for_gain(self, gain: float, tests: int = 1) -> int | None:
        """Independent items for a gain that is one of ``tests``; None if the base leaves less room than that."""
        if self.base is not None and self.base + gain > 1:
            return None
        return needed_items(gain, self.assumed_discordance(gain), SIGNIFICANCE / tests)

    def shown_now(self, gain: float) -> float | None:
        """The smallest gain that as many items as were asked could show, were no other ability's shown."""
        if self.asked is None:
            return None
        return detectable_gain(self.asked, self.assumed_discordance(gain), SIGNIFICANCE / self.tests)


def nothing_measured(ability: str, tests: int) -> NeededItems:
    """The items of an ability in the synthesized benchmark before anything was scored."""
    return NeededItems(PAINTED, ability, tests)


def read_needed_items(store: ParquetStore) -> list[NeededItems]:
    """The items of each ability in each benchmark of the newest scores; none before anything was scored.

    Raises:
        StoreError: the scores cannot be read.
    """
    scored = [one for one in checkpoint_ids(store) if store.holds(ABILITY_SCORES, (one,))]
    rows = rows_of(_Score, store.read_all(ABILITY_SCORES, [(one,) for one in scored[-1:]], columns_of(_Score)))
    of_base = [row for row in rows if (row["model"], row["question_kind"]) == ("base", ALL) and row["ability"] != ALL]
    tests = Counter(row["benchmark"] for row in of_base)
    return [
        NeededItems(
            row["benchmark"], row["ability"], tests[row["benchmark"]], row["n"], row["accuracy"], row["discordance"]
        )
        for row in of_base
    ]


def needed_items_table(needed: Sequence[NeededItems], gain: float) -> str:
    """As aligned text, one ability a line, with what the figures assume."""
    header = ("benchmark", "ability", "base", "discordance", "asked", "could show", "needed alone", "needed of all")
    lines = [
        (
            one.benchmark,
            one.ability,
            number_text(one.base),
            f"{one.assumed_discordance(gain):.3f}{'' if one.discordance is not None else ' (assumed)'}",
            "" if one.asked is None else f"{one.asked:,}",
            number_text(one.shown_now(gain)),
            *(_count(one.for_gain(gain, tests)) for tests in (1, one.tests)),
        )
        for one in needed
    ]
    return "\n".join(
        [
            f"Items with an image each that show a gain of {gain:g} with a chance of 0.8:",
            aligned_table(header, lines, left=(0, 1), rules=(0,)),
            "alone: at the level 0.05; of all: at 0.05 by the number of abilities, as Holm's correction begins.",
            *(
                ["assumed: as if both models answered independently of each other; nothing was measured."]
                if any(one.discordance is None for one in needed)
                else []
            ),
        ]
    )


def _count(items: int | None) -> str:
    return "no room" if items is None else f"{items:,}"
