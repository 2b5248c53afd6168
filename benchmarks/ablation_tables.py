"""The arms of an ablation, tuned and asked seed after seed, and the table that compares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablation_designs import looks
from embedded_experiment import Answers, Experiment, accuracy, by_seed, difference

from stablellava_assets.tuning.embedded.training import TrainingExample

BASE = "the base, not tuned"
EVERY = "all"

Groups = Mapping[str, Sequence[str]]
"""Ids of the questions that are reported together, by what they are called."""


class Arms:
    """What each way of choosing pairs was tuned on and answered, a seed after the other.

    The base is asked once: it is the first arm, and the same for every seed.
    """

    def __init__(self, experiment: Experiment, asked: Sequence[dict[str, Any]], seeds: int) -> None:
        self._experiment = experiment
        self._asked = asked
        base = experiment.answers(experiment.base, asked)
        experiment.say(f"{len(asked)} questions; {BASE}: {sum(base.values()) / len(base):.3f}")
        self._answers: dict[str, list[Answers]] = {BASE: [base] * seeds}
        self._pairs: dict[str, list[int]] = {BASE: [0]}
        self._looks: dict[str, list[int]] = {BASE: [0]}

    def tune(self, arm: str, examples: Sequence[TrainingExample], seed: int, passes: float | None = None) -> None:
        """Tune the base on ``examples`` and ask; ``passes`` if not as often as the other arms."""
        experiment = self._experiment
        seen = looks(examples, experiment.settings.stage.rows_per_look)
        self._answers.setdefault(arm, []).append(experiment.measured(arm, examples, seed, self._asked, passes))
        self._pairs.setdefault(arm, []).append(len(examples))
        self._looks.setdefault(arm, []).append(round((passes or experiment.passes) * seen))

    def table(self, reference: str, groups: Groups) -> str:
        """Every arm, a group of questions at a time, and how much more it gets right than ``reference``; Markdown."""
        theirs = self._answers[reference]
        lines = [
            (
                f"| questions | trained on | pairs | samples | accuracy | 95 % interval | difference to: {reference} | "
                "95 % interval | by seed |"
            ),
            "|---|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for group, ids in groups.items():
            for arm, ours in self._answers.items():
                compared = (
                    " | | " if arm == reference else f"{difference(ours, theirs, ids)} | {by_seed(ours, theirs, ids)}"
                )
                lines.append(
                    f"| {group} ({len(ids):,}) | {arm} | {_mean(self._pairs[arm]):,} | {_mean(self._looks[arm]):,} | "
                    f"{accuracy(ours, ids)} | {compared} |"
                )
        return "\n".join(lines)


def of_all(asked: Sequence[dict[str, Any]]) -> Groups:
    """All questions together."""
    return {EVERY: [item["item_id"] for item in asked]}


def of_kinds(asked: Sequence[dict[str, Any]]) -> Groups:
    """All questions, and each kind; those to be answered yes apart from those to be answered no."""
    groups: dict[str, list[str]] = {EVERY: []}
    for item in asked:
        kind = item["accepted"][0] if item["question_kind"] == "yes_no" else item["question_kind"]
        for group in (EVERY, kind):
            groups.setdefault(group, []).append(item["item_id"])
    return groups


def first_of_each(items: Sequence[dict[str, Any]], count: int | None) -> list[dict[str, Any]]:
    """The first ``count`` questions of each ability and kind, half of the yes-no ones to be answered no; None: all."""
    taken: dict[tuple[str, ...], int] = {}
    chosen = []
    for item in items:
        yes_no = item["question_kind"] == "yes_no"
        place = (item["ability"], item["question_kind"], *(item["accepted"] if yes_no else ()))
        taken[place] = taken.get(place, 0) + 1
        if count is None or taken[place] <= (max(1, count // 2) if yes_no else count):
            chosen.append(item)
    return chosen


def _mean(counts: Sequence[int]) -> int:
    return round(sum(counts) / len(counts))
