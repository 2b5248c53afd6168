"""What stands on a checkpoint's page, gathered from the tables."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from stablellava_assets.evaluation.statistics import BETTER, UNDECIDED, WORSE
from stablellava_assets.evaluation.verdicts import ALL
from stablellava_assets.report.cost import Costs, costs_of
from stablellava_assets.report.lineage import Lineage, lineage_of
from stablellava_assets.report.outcomes import Outcomes, outcomes
from stablellava_assets.report.paper import FIGURE_6, Reported
from stablellava_assets.report.pictures import inline_pictures
from stablellava_assets.report.radar import Radar
from stablellava_assets.report.settings import ReportSettings
from stablellava_assets.tables.schemas import ABILITY_ANSWERS, ABILITY_SCORES, LLAVA_CHECKPOINT
from stablellava_assets.tables.store import ParquetStore

_PACKAGES = ("stablellava-assets", "torch", "transformers")
_FEWEST_AXES = 3

Score = Mapping[str, Any]


@dataclass(frozen=True)
class Compared:
    """The base and the tuned model on one ability or kind: their ``ability_scores`` rows, and the paper's figures if any."""

    name: str
    base: Score
    tuned: Score
    paper: Reported | None = None


@dataclass(frozen=True)
class Measured:
    """Everything about one benchmark. ``cells`` are by ability and kind."""

    benchmark: str
    total: Compared
    abilities: Sequence[Compared]
    kinds: Sequence[Compared]
    cells: Mapping[tuple[str, str], Compared]
    outcomes: Outcomes

    @property
    def verdicts(self) -> list[tuple[str, int]]:
        """How many abilities there are of each verdict."""
        counts = Counter(row.tuned["verdict"] for row in self.abilities)
        return [(verdict, counts[verdict]) for verdict in (BETTER, WORSE, UNDECIDED)]

    @property
    def has_paper(self) -> bool:
        """Whether the paper has figures to hold these against."""
        return any(row.paper for row in self.abilities)

    @property
    def radar(self) -> Radar | None:
        """The radar of the abilities; None where they are too few for one."""
        return Radar([row.name for row in self.abilities]) if len(self.abilities) >= _FEWEST_AXES else None

    def values(self, model: str, column: str) -> list[float]:
        """A column of one model's scores, an ability each."""
        return [getattr(row, model)[column] for row in self.abilities]

    @property
    def paper_after(self) -> dict[str, float]:
        """The paper's tuned model, by ability."""
        return {row.name: row.paper.after for row in self.abilities if row.paper}


@dataclass(frozen=True)
class Content:
    """A page's content. ``pictures`` are data URIs by benchmark item."""

    checkpoint: Mapping[str, Any]
    measured: Sequence[Measured]
    pictures: Mapping[str, str]
    lineage: Lineage
    costs: Costs
    settings: Sequence[tuple[str, str]]
    versions: Sequence[tuple[str, str]]


def gather(store: ParquetStore, checkpoint_id: str, settings: ReportSettings) -> Content | None:
    """The content of a checkpoint's page; None where it has not been scored."""
    checkpoints = {row["checkpoint_id"]: row for row in store.read_all(LLAVA_CHECKPOINT).to_pylist()}
    scores = store.read(ABILITY_SCORES, (checkpoint_id,))
    answers = store.read(ABILITY_ANSWERS, (checkpoint_id,))
    if checkpoint_id not in checkpoints or scores is None or answers is None:
        return None
    measured = measured_by_benchmark(scores.to_pylist(), answers.to_pylist(), settings.examples)
    shown = [change.item_id for part in measured for changes in part.outcomes.shown.values() for change in changes]
    return Content(
        checkpoint=checkpoints[checkpoint_id],
        measured=measured,
        pictures=inline_pictures(store, shown, settings.picture_side),
        lineage=lineage_of(store),
        costs=costs_of(store),
        settings=list(_flat(json.loads(checkpoints[checkpoint_id]["settings"]))),
        versions=[(package, version(package)) for package in _PACKAGES],
    )


def measured_by_benchmark(
    scores: Sequence[Score], answers: Iterable[Mapping[str, Any]], examples: int = 0
) -> list[Measured]:
    """One checkpoint's scores and answers, a benchmark each, in the order of the scores."""
    by_benchmark: dict[str, list[Mapping[str, Any]]] = {}
    for answer in answers:
        by_benchmark.setdefault(answer["benchmark"], []).append(answer)
    return [
        _measured(benchmark, scores, by_benchmark.get(benchmark, []), examples)
        for benchmark in dict.fromkeys(row["benchmark"] for row in scores)
    ]


def _measured(benchmark: str, scores: Sequence[Score], answers: Sequence[Mapping[str, Any]], examples: int) -> Measured:
    by_key = {
        (row["ability"], row["question_kind"], row["model"]): row for row in scores if row["benchmark"] == benchmark
    }
    paper = FIGURE_6.get(benchmark, {})
    cells = {
        (ability, kind): Compared(
            ability if kind == ALL else kind,
            by_key[ability, kind, "base"],
            by_key[ability, kind, "tuned"],
            paper.get(ability) if kind == ALL else None,
        )
        for ability, kind in dict.fromkeys(key[:2] for key in by_key)
        if {(ability, kind, "base"), (ability, kind, "tuned")} <= by_key.keys()
    }
    return Measured(
        benchmark=benchmark,
        total=cells[ALL, ALL],
        abilities=[row for (ability, kind), row in sorted(cells.items()) if kind == ALL and ability != ALL],
        kinds=[row for (ability, kind), row in cells.items() if ability == ALL and kind != ALL],
        cells=cells,
        outcomes=outcomes(answers, examples),
    )


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Settings as a list of dotted names and values."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value)
