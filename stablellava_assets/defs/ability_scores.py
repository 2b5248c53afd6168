"""The ``ability_scores`` asset."""

from collections.abc import Iterable, Sequence

import dagster as dg
import pyarrow as pa

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.checks.ability_scores import SUITE
from stablellava_assets.defs.answer_judgements import check_judge, judge
from stablellava_assets.defs.metadata import Metadata, MetadataEntry
from stablellava_assets.defs.only import OnlyAbility
from stablellava_assets.defs.previews import plot
from stablellava_assets.defs.project import FOLLOW_UPSTREAM, stage_asset
from stablellava_assets.defs.published import Tables
from stablellava_assets.defs.reporting import reporter
from stablellava_assets.defs.stage import Events, PartitionResult, Stage
from stablellava_assets.evaluation.answers.answer_rows import (
    EarlierAnswer,
    Question,
    ask_model,
    path_of,
    plan_answers,
    rescored,
    reused_answers,
)
from stablellava_assets.evaluation.answers.pictures import PublishedPictures, held_pictures
from stablellava_assets.evaluation.benchmark import PAINTED
from stablellava_assets.evaluation.scoreboard import by_benchmark, judge_line, scoreboard
from stablellava_assets.evaluation.scores.scoring import score_answers
from stablellava_assets.evaluation.settings import BenchmarkSettings, SuiteSettings
from stablellava_assets.evaluation.suites.items import SuiteItem
from stablellava_assets.evaluation.suites.pictures import SuiteError
from stablellava_assets.evaluation.suites.suites import read_suites
from stablellava_assets.models.checkpoints import CHAT_TEMPLATE
from stablellava_assets.models.folders import ModelFolders
from stablellava_assets.profiles.data_folder import DataFolder
from stablellava_assets.profiles.profile import Profile
from stablellava_assets.report.folder import Report, ReportError
from stablellava_assets.report.paper import FIGURE_6
from stablellava_assets.tables.checkpoints import checkpoints
from stablellava_assets.tables.reading import is_same, only_made
from stablellava_assets.tables.rows import PlannedRow
from stablellava_assets.tables.schemas import (
    ABILITY_ANSWERS,
    ABILITY_BENCHMARK,
    ABILITY_SCORES,
    ANSWER_JUDGEMENTS,
    LLAVA_CHECKPOINT,
)
from stablellava_assets.tables.score_rows import (
    AbilityAnswer,
    AbilityScore,
    AnswerJudgement,
    Checkpoint,
    ItemQuestion,
    ItemToAsk,
    JudgedScore,
)
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets.tables.table import columns_of, rows_of
from stablellava_assets.tuning.pretrained.card import with_scores

_COLUMNS = ["item_id", *columns_of(ItemQuestion), "status"]
"""The columns of ``ability_benchmark`` that questions and scores need."""


@stage_asset(
    SUITE,
    {"pytorch", "duckdb"},
    ["llava_checkpoint", "ability_benchmark"],
    condition=FOLLOW_UPSTREAM,
    pool="tuning",
)
def ability_scores(
    context: dg.AssetExecutionContext,
    config: OnlyAbility,
    catalog: dg.ResourceParam[Catalog],
    tables: dg.ResourceParam[Tables],
    profile: dg.ResourceParam[Profile],
    folder: dg.ResourceParam[DataFolder],
    models: dg.ResourceParam[ModelFolders],
    report: dg.ResourceParam[Report],
) -> Events:
    """Ask the base and the tuned model every benchmark question, and compare them per ability."""
    stage, store, settings = Stage(context, tables, SUITE), tables.store, profile.benchmark
    ability_benchmark = tables.upstream(ABILITY_BENCHMARK)
    published = PublishedPictures(ability_benchmark.images, folder.path)
    tables.upstream(LLAVA_CHECKPOINT).require()
    checkpoint = checkpoints(store, Checkpoint)[-1]
    refusals: list[str] = []
    only = config.of(catalog)

    def make(partition: Partition) -> PartitionResult:
        items = only_made(ability_benchmark.read_all(_COLUMNS))
        own = [item for item in rows_of(ItemToAsk, items) if only in (None, item["ability"])]
        suites = _suites(settings.external) if only is None else []
        pictures = published.of({item["item_id"] for item in own}) | held_pictures(suites)
        # Both models get the prompt format of the tuned one: its template, with its system message.
        template = models.read(checkpoint["path"], CHAT_TEMPLATE)
        planned = plan_answers(
            checkpoint,
            [*own, *suites],
            pictures,
            settings.max_new_tokens,
            template,
            controlled=settings.controlled_kinds,
        )

        def answer_all(missing: Sequence[PlannedRow[Question]]) -> Iterable[AbilityAnswer]:
            check_judge(settings.judge, folder.chat_ledger, missing)
            known = list(reused_answers(missing, _earlier_answers(store, partition)))
            if known:
                context.log.info(f"{len(known)} answers reused from other comparisons with the same model")
                yield from known
            taken = {row["answer_id"] for row in known}
            asked = [row for row in missing if row.row_id not in taken]
            with published.copied({row.inputs.columns["item_id"] for row in asked}):
                for column in ("base_path", "path"):
                    of_model = [row for row in asked if path_of(row.inputs.columns["model"]) == column]
                    if of_model:
                        yield from _answer(checkpoint[column], models, of_model, settings, template, context.log)

        answers = rescored(stage.refresh(partition, planned, answer_all, ABILITY_ANSWERS), planned)
        judged = judge(settings.judge, folder.chat_ledger, stage, partition, answers, refusals, context.log)
        judgements = [] if judged is None else ANSWER_JUDGEMENTS.rows(judged.data)
        kinds = () if settings.judge is None else settings.judge.kinds
        rows = score_answers(ABILITY_ANSWERS.rows(answers.data), judgements, kinds)
        models.change_card(checkpoint["path"], lambda card: with_scores(card, scoreboard(rows, markdown=True)))
        previous = store.read(SUITE.table, partition)
        scores = _with_run(rows, previous, context.run_id)
        return PartitionResult(
            scores,
            {
                **answers.counts,
                "rows": scores.num_rows,
                "answers": answers.data.num_rows,
                **({"judged": judged.computed, "not_judged": judged.failed + judged.deferred} if judged else {}),
            },
            unchanged=answers.unchanged and is_same(scores, previous) and (judged is None or judged.unchanged),
            beside=[(ABILITY_ANSWERS, answers.data), *([(ANSWER_JUDGEMENTS, judged.data)] if judged else [])],
            metadata=_describe(rows, judgements),
        )

    partition = (checkpoint["checkpoint_id"],)
    yield from stage.run([partition], make, lambda: _report(report, store, partition))
    if refusals:
        raise dg.Failure(
            description=f"benchmark.judge: {refusals[0]}. The scores are published; those that need a grade lack it.",
            allow_retries=False,
        )


def _report(report: Report, store: ParquetStore, partition: Partition) -> Metadata:
    """Update the report; None if a gate refused the only scores.

    Raises:
        dagster.Failure: it could not be written. The scores are published all the same.
    """
    if not store.holds(SUITE.table, partition):
        return {}
    try:
        page = report.publish(*partition)
    except ReportError as error:
        raise dg.Failure(description=str(error)) from error
    return {"report": dg.MetadataValue.path(page.absolute())}


def _suites(external: Sequence[SuiteSettings]) -> list[SuiteItem]:
    """The items of the published benchmarks in the profile.

    Raises:
        dagster.Failure: one of their files is invalid.
    """
    try:
        return read_suites(external)
    except SuiteError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


def _earlier_answers(store: ParquetStore, partition: Partition) -> list[EarlierAnswer]:
    """Answers from comparisons of other checkpoints, many of which share a base."""
    others = [other for other in store.partitions(ABILITY_ANSWERS) if other != partition]
    return rows_of(EarlierAnswer, store.read_all(ABILITY_ANSWERS, others, columns_of(EarlierAnswer)))


def _answer(
    named: str,
    models: ModelFolders,
    planned: Sequence[PlannedRow[Question]],
    settings: BenchmarkSettings,
    chat_template: str | None,
    log: dg.DagsterLogManager,
) -> Iterable[AbilityAnswer]:
    if not models.exists(named):
        raise dg.Failure(
            description=f"{models.path_of(named)}: the model is gone. Make it again with:\n"
            "  dagster asset materialize --select llava_checkpoint",
            allow_retries=False,
        )
    path, batch, limit = models.path_of(named), settings.answer_batch_size, settings.max_new_tokens
    return ask_model(path, planned, batch, limit, reporter(log), chat_template)


def _with_run(rows: Sequence[JudgedScore], previous: pa.Table | None, run_id: str) -> pa.Table:
    """Scores as a table; unchanged ones keep their run id."""
    before = {} if previous is None else {row["score_id"]: row for row in ABILITY_SCORES.rows(previous)}

    def with_run(row: JudgedScore) -> AbilityScore:
        earlier = before.get(row["score_id"])
        return earlier if earlier and {**row, "run_id": earlier["run_id"]} == earlier else {**row, "run_id": run_id}

    return ABILITY_SCORES.from_rows([with_run(row) for row in rows])


def _describe(rows: Sequence[JudgedScore], judgements: Sequence[AnswerJudgement]) -> Metadata:
    described: dict[str, MetadataEntry] = {"scores": dg.MetadataValue.md(scoreboard(rows, markdown=True))}
    for benchmark, of_benchmark in by_benchmark(rows).items():
        suffix = "" if benchmark == PAINTED else f" of {benchmark}"
        described |= {f"{name}{suffix}": drawn for name, drawn in _plots(of_benchmark, benchmark).items()}
    judge = {"judge": dg.MetadataValue.md(judge_line(judgements))} if judgements else {}
    return described | judge


def _plots(scores: Sequence[JudgedScore], benchmark: str) -> Metadata:
    from stablellava_assets.report.plots import radar_chart, scores_chart

    reference = FIGURE_6.get(benchmark)
    bars = plot(
        scores_chart(scores, reference), f"{benchmark}: accuracy of the base and the tuned model, an ability a row"
    )
    radar = radar_chart(scores, reference)
    return {"plot": bars} | ({} if radar is None else {"radar": plot(radar, "the same, an ability an axis")})
