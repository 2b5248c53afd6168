"""Gathers the content of a checkpoint's report from the tables."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

from stablellava_assets.evaluation.benchmark import PAINTED
from stablellava_assets.evaluation.diagnosis_table import diagnosis_table
from stablellava_assets.evaluation.rounds import Round, rounds_to_compare
from stablellava_assets.evaluation.scoreboard import blind_line, control_table, judge_line, reference_table
from stablellava_assets.evaluation.scores.power import WANTED_GAIN
from stablellava_assets.evaluation.scores.statistics import BETTER, UNDECIDED, WORSE
from stablellava_assets.evaluation.scores.verdicts import ALL
from stablellava_assets.filters.contamination import ContaminationReport, contamination_report
from stablellava_assets.report.cost import Costs, costs_of
from stablellava_assets.report.lineage import Lineage, lineage_of
from stablellava_assets.report.outcomes import Outcomes, outcomes
from stablellava_assets.report.paper import FIGURE_6, PaperScores, mean_note, reported
from stablellava_assets.report.pictures import inline_pictures
from stablellava_assets.report.radar import FEWEST_AXES, MOST_AXES, Radar
from stablellava_assets.report.settings import ReportSettings
from stablellava_assets.tables.checkpoints import checkpoints
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.schemas import ABILITY_ANSWERS, ABILITY_DIAGNOSIS, ABILITY_SCORES, ANSWER_JUDGEMENTS
from stablellava_assets.tables.score_rows import AbilityAnswer, AbilityScore, AnswerJudgement, Checkpoint
from stablellava_assets.tables.store import ParquetStore

_PACKAGES = ("stablellava-assets", "torch", "transformers")


@dataclass(frozen=True)
class Comparison:
    """Base and tuned model on one ability or kind: their ``ability_scores`` rows, and the paper's figures if any."""

    name: str
    base: AbilityScore
    tuned: AbilityScore
    paper: PaperScores | None = None


@dataclass(frozen=True)
class BenchmarkResults:
    """The results on one benchmark. ``cells`` are by ability and kind; ``judge`` describes how far a judge agreed with
    the keywords, and is empty without a judge.
    """

    benchmark: str
    total: Comparison
    abilities: Sequence[Comparison]
    kinds: Sequence[Comparison]
    cells: Mapping[tuple[str, str], Comparison]
    outcomes: Outcomes
    judge: str
    controls: tuple[Sequence[str], Sequence[Sequence[str]]] | None = None
    """Header and lines of the controls, if there are any."""
    blind: str = ""
    """Where the tuned model does better than chance without any image, in a sentence."""
    references: tuple[Sequence[str], Sequence[Sequence[str]]] | None = None
    """Header and lines of the reference models, if any were asked."""

    @property
    def verdicts(self) -> list[tuple[str, int]]:
        """Number of abilities per verdict."""
        counts = Counter(row.tuned["verdict"] for row in self.abilities)
        return [(verdict, counts[verdict]) for verdict in (BETTER, WORSE, UNDECIDED)]

    @property
    def in_paper(self) -> int:
        """Number of abilities for which the paper has comparable figures; their mean is beside the total."""
        return sum(row.paper is not None for row in self.abilities)

    @property
    def paper_note(self) -> str:
        """What the paper's mean covers, if it lacks some of these abilities."""
        return mean_note(self.in_paper, len(self.abilities))

    @property
    def radar(self) -> Radar | None:
        """The radar chart of the abilities; None if there are too few or too many."""
        drawable = FEWEST_AXES <= len(self.abilities) <= MOST_AXES
        return Radar([row.name for row in self.abilities]) if drawable else None

    @property
    def unscored(self) -> int:
        """Items that the judge has not yet graded, for either model."""
        return max(row["unscored"] or 0 for row in (self.total.base, self.total.tuned))

    @property
    def yes_no(self) -> Comparison | None:
        """The yes-no questions of all abilities, with POPE's figures; None if there are none, or
        an earlier version scored them."""
        found = self.cells.get((ALL, "yes_no"))
        return found if found is not None and found.tuned["yes_ratio"] is not None else None

    def values(self, model: str, column: str) -> list[float]:
        """A column of one model's scores, by ability."""
        return [getattr(row, model)[column] for row in self.abilities]

    @property
    def paper_after(self) -> dict[str, float]:
        """The paper's tuned model, by ability."""
        return {row.name: row.paper.after for row in self.abilities if row.paper}


@dataclass(frozen=True)
class Content:
    """The content of a report. ``pictures`` are data URIs by benchmark item, in order; in ``incomparable``
    benchmarks only one model has scores."""

    checkpoint: Checkpoint
    measured: Sequence[BenchmarkResults]
    incomparable: Sequence[str]
    pictures: Mapping[str, Sequence[str]]
    lineage: Lineage
    contamination: ContaminationReport
    costs: Costs
    settings: Sequence[tuple[str, str]]
    versions: Sequence[tuple[str, str]]
    wanted_gain: float
    """The gain in accuracy that verdicts should be able to show."""
    rounds: Sequence[Round] = ()
    """The checkpoints up to this one, each compared with the one before."""
    diagnosis: tuple[Sequence[str], Sequence[Sequence[str]]] | None = None
    """Header and lines of the diagnosis, if there is one."""


def gather(
    store: ParquetStore, checkpoint_id: str, settings: ReportSettings, judged_kinds: Sequence[str], wanted_gain: float
) -> Content | None:
    """The content of a checkpoint's report; None if it has not been scored.

    ``judged_kinds`` are the question kinds for which a judge's verdict replaces the keywords; ``wanted_gain`` is what
    verdicts should be able to show.
    """
    known = {row["checkpoint_id"]: row for row in checkpoints(store, Checkpoint)}
    scores = store.read(ABILITY_SCORES, (checkpoint_id,))
    answers = store.read(ABILITY_ANSWERS, (checkpoint_id,))
    if checkpoint_id not in known or scores is None or answers is None:
        return None
    judgements = store.read(ANSWER_JUDGEMENTS, (checkpoint_id,))
    diagnosis = store.read(ABILITY_DIAGNOSIS, (checkpoint_id,))
    measured = measured_by_benchmark(
        ABILITY_SCORES.rows(scores),
        ABILITY_ANSWERS.rows(answers),
        [] if judgements is None else ANSWER_JUDGEMENTS.rows(judgements),
        judged_kinds,
        settings.examples,
        wanted_gain,
    )
    comparable = {part.benchmark for part in measured}
    shown = [change.item_id for part in measured for changes in part.outcomes.shown.values() for change in changes]
    return Content(
        checkpoint=known[checkpoint_id],
        measured=measured,
        incomparable=sorted(set(texts_of(scores, "benchmark")) - comparable),
        pictures=inline_pictures(store, shown, settings.picture_side),
        lineage=lineage_of(store),
        contamination=contamination_report(store),
        costs=costs_of(store, checkpoint_id),
        settings=list(_dotted_settings(json.loads(known[checkpoint_id]["settings"]))),
        versions=[(package, version(package)) for package in _PACKAGES],
        wanted_gain=wanted_gain,
        rounds=rounds_to_compare(store, PAINTED, checkpoint_id),
        diagnosis=None if diagnosis is None else diagnosis_table(ABILITY_DIAGNOSIS.rows(diagnosis)),
    )


def measured_by_benchmark(
    scores: Sequence[AbilityScore],
    answers: Iterable[AbilityAnswer] = (),
    judgements: Sequence[AnswerJudgement] = (),
    judged_kinds: Sequence[str] = (),
    examples: int = 0,
    wanted_gain: float = WANTED_GAIN,
) -> list[BenchmarkResults]:
    """One checkpoint's scores and answers by benchmark, in the order of the scores, without
    benchmarks that only one model has."""
    by_benchmark: dict[str, list[AbilityAnswer]] = {}
    for answer in answers:
        by_benchmark.setdefault(answer["benchmark"], []).append(answer)
    measured = []
    for benchmark in dict.fromkeys(row["benchmark"] for row in scores):
        of_benchmark = [row for row in scores if row["benchmark"] == benchmark]
        cells = _cells(of_benchmark, FIGURE_6.get(benchmark, {}))
        if (ALL, ALL) in cells:
            changed = outcomes(by_benchmark.get(benchmark, []), judgements, judged_kinds, examples)
            graded = [row for row in judgements if row["benchmark"] == benchmark]
            results = _measured(benchmark, cells, changed, judge_line(graded) if graded else "")
            measured.append(
                replace(
                    results,
                    controls=control_table(of_benchmark, every_ability=True),
                    blind=blind_line(of_benchmark),
                    references=reference_table(of_benchmark, wanted_gain),
                )
            )
    return measured


def _measured(
    benchmark: str,
    cells: Mapping[tuple[str, str], Comparison],
    changed: Outcomes,
    judge: str,
) -> BenchmarkResults:
    return BenchmarkResults(
        benchmark=benchmark,
        total=cells[ALL, ALL],
        abilities=[row for (ability, kind), row in sorted(cells.items()) if kind == ALL and ability != ALL],
        kinds=[row for (ability, kind), row in cells.items() if ability == ALL and kind != ALL],
        cells=cells,
        outcomes=changed,
        judge=judge,
    )


def _cells(scores: Sequence[AbilityScore], paper: Mapping[str, PaperScores]) -> dict[tuple[str, str], Comparison]:
    """Comparisons by ability and kind, where both models have a score."""
    by_key = {(row["ability"], row["question_kind"], row["model"]): row for row in scores}
    both = [
        (ability, kind)
        for ability, kind in dict.fromkeys(key[:2] for key in by_key)
        if {(ability, kind, "base"), (ability, kind, "tuned")} <= by_key.keys()
    ]
    of_paper = reported(paper, [ability for ability, kind in both if kind == ALL])
    return {
        (ability, kind): Comparison(
            ability if kind == ALL else kind,
            by_key[ability, kind, "base"],
            by_key[ability, kind, "tuned"],
            of_paper.get(ability) if kind == ALL else None,
        )
        for ability, kind in both
    }


def _dotted_settings(settings: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _dotted_settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value)
