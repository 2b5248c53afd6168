"""The ``ability_scores`` asset."""

from collections.abc import Iterable, Mapping, Sequence

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
from stablellava_assets.defs.reference_answers import reference_answers
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
from stablellava_assets.evaluation.answers.references import comparable
from stablellava_assets.evaluation.benchmark import DIAGNOSIS, PAINTED
from stablellava_assets.evaluation.diagnosis_table import diagnosis_table
from stablellava_assets.evaluation.rounds import Round, rounds_table, rounds_to_compare
from stablellava_assets.evaluation.scoreboard import by_benchmark, judge_line, scoreboard
from stablellava_assets.evaluation.scores.scoring import score_answers
from stablellava_assets.evaluation.settings import BenchmarkSettings, SuiteSettings
from stablellava_assets.evaluation.suites.items import SuiteItem
from stablellava_assets.evaluation.suites.pictures import SuiteError
from stablellava_assets.evaluation.suites.suites import read_suites
from stablellava_assets.models.checkpoints import CHAT_TEMPLATE
from stablellava_assets.models.folders import ModelFolders
from stablellava_assets.planning.diagnosis import diagnosis_of
from stablellava_assets.profiles.data_folder import DataFolder
from stablellava_assets.profiles.profile import Profile
from stablellava_assets.report.folder import Report, ReportError
from stablellava_assets.report.paper import FIGURE_6
from stablellava_assets.tables.checkpoints import checkpoints
from stablellava_assets.tables.reading import is_same, only_made, texts_of
from stablellava_assets.tables.rows import PlannedRow, Refreshed
from stablellava_assets.tables.schemas import (
    ABILITY_ANSWERS,
    ABILITY_BENCHMARK,
    ABILITY_DIAGNOSIS,
    ABILITY_SCORES,
    ANSWER_JUDGEMENTS,
    LLAVA_CHECKPOINT,
    REFERENCE_ANSWERS,
)
from stablellava_assets.tables.score_rows import (
    AbilityAnswer,
    AnswerJudgement,
    Checkpoint,
    CheckpointDiagnosis,
    ItemQuestion,
    ItemToAsk,
    JudgedScore,
)
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets.tables.table import AnyTable, columns_of, rows_of
from stablellava_assets.text.tables import markdown_table
from stablellava_assets.tuning.pretrained.card import with_scores

_COLUMNS = ["item_id", *columns_of(ItemQuestion), "prompt", "status"]
"""The columns of ``ability_benchmark`` that questions, scores and the diagnosis need."""


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
    """Ask the base and the tuned model, and reference models, every benchmark question, and compare them per
    ability."""
    stage, store, settings = Stage(context, tables, SUITE), tables.store, profile.benchmark
    ability_benchmark = tables.upstream(ABILITY_BENCHMARK)
    published = PublishedPictures(ability_benchmark.images, folder.path)
    tables.upstream(LLAVA_CHECKPOINT).require()
    checkpoint = checkpoints(store, Checkpoint)[-1]
    refusals: list[str] = []
    only = config.of(catalog)

    def make(partition: Partition) -> PartitionResult:
        made = only_made(ability_benchmark.read_all(_COLUMNS))
        own = [item for item in rows_of(ItemToAsk, made) if only in (None, item["ability"])]
        suites = _suites(settings.external) if only is None else []
        pictures = published.of({item["item_id"] for item in own}) | held_pictures(suites)
        # Both models get the prompt format of the tuned one: its template, with its system message.
        template = models.read(checkpoint["path"], CHAT_TEMPLATE)
        items: list[ItemToAsk] = [*own, *suites]
        prompts = dict(zip(texts_of(made, "item_id"), made["prompt"].to_pylist(), strict=True))
        planned = plan_answers(
            checkpoint, items, pictures, settings.max_new_tokens, template, controlled=settings.controlled_kinds
        )

        def answer_all(missing: Sequence[PlannedRow[Question]]) -> Iterable[list[AbilityAnswer]]:
            check_judge(settings.judge, folder.chat_ledger, missing)
            known = list(reused_answers(missing, _earlier_answers(store, partition)))
            if known:
                context.log.info(f"{len(known)} answers reused from other comparisons with the same model")
                yield known
            taken = {row["answer_id"] for row in known}
            asked = [row for row in missing if row.row_id not in taken]
            with published.copied({row.inputs.columns["item_id"] for row in asked}):
                for column in ("base_path", "path"):
                    of_model = [row for row in asked if path_of(row.inputs.columns["model"]) == column]
                    if of_model:
                        yield from _answer(checkpoint[column], models, of_model, settings, template, context.log)

        # Reference models come first: a mistake in their settings is told before hours of work.
        ledger = folder.chat_ledger
        reported = [item for item in items if item["benchmark"] != DIAGNOSIS]
        references = reference_answers(
            settings.references, ledger, stage, partition, reported, pictures, published, refusals, context.log
        )
        asked_elsewhere = [] if references is None else REFERENCE_ANSWERS.rows(references.data)
        of_references, unanswered = comparable(asked_elsewhere)
        answers = rescored(stage.refresh_together(partition, planned, answer_all, ABILITY_ANSWERS), planned)
        own_answers = ABILITY_ANSWERS.rows(answers.data)
        diagnosed = [row for row in own_answers if row["benchmark"] == DIAGNOSIS]
        every_answer = [*(row for row in own_answers if row["benchmark"] != DIAGNOSIS), *of_references]
        judged = judge(settings.judge, ledger, stage, partition, every_answer, refusals, context.log)
        judgements = [] if judged is None else ANSWER_JUDGEMENTS.rows(judged.data)
        kinds = () if settings.judge is None else settings.judge.kinds
        rows = score_answers(every_answer, judgements, kinds, unanswered)
        board = scoreboard(rows, markdown=True, wanted_gain=settings.wanted_gain)
        models.change_card(checkpoint["path"], lambda card: with_scores(card, board))
        secondary: list[tuple[AnyTable, Refreshed | None]] = [
            (ABILITY_ANSWERS, answers),
            (REFERENCE_ANSWERS, references),
            (ANSWER_JUDGEMENTS, judged),
        ]
        refreshed = [(table, one) for table, one in secondary if one is not None]
        unchanged = all(one.unchanged for _, one in refreshed)
        beside = [(table, one.data) for table, one in refreshed]
        previous = store.read(SUITE.table, partition)
        scores = _with_run(ABILITY_SCORES, rows, previous, context.run_id)
        diagnosis = diagnosis_of(catalog, checkpoint["checkpoint_id"], diagnosed, prompts)
        if diagnosis:
            earlier = store.read(ABILITY_DIAGNOSIS, partition)
            told = _with_run(ABILITY_DIAGNOSIS, diagnosis, earlier, context.run_id)
            beside.append((ABILITY_DIAGNOSIS, told))
            unchanged = unchanged and is_same(told, earlier)
        return PartitionResult(
            scores,
            {
                **answers.counts,
                "rows": scores.num_rows,
                "answers": answers.data.num_rows,
                **({"judged": judged.computed, "not_judged": judged.failed + judged.deferred} if judged else {}),
                **(
                    {"asked_elsewhere": references.computed, "not_answered": references.failed + references.deferred}
                    if references
                    else {}
                ),
            },
            unchanged=unchanged and is_same(scores, previous),
            beside=beside,
            metadata=_describe(rows, judgements, board, diagnosis),
        )

    partition = (checkpoint["checkpoint_id"],)
    yield from stage.run([partition], make, lambda: _report(report, store, partition))
    if refusals:
        raise dg.Failure(description="\n".join(refusals), allow_retries=False)


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
    rounds = rounds_to_compare(store, PAINTED)
    return {"report": dg.MetadataValue.path(page.absolute()), **(_plot_of(rounds) if len(rounds) > 1 else {})}


def _plot_of(rounds: Sequence[Round]) -> Metadata:
    from stablellava_assets.report.plots import rounds_chart

    return {
        "rounds": dg.MetadataValue.md(rounds_table(rounds, markdown=True)),
        "rounds_plot": plot(rounds_chart(rounds), "accuracy by round"),
    }


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
) -> Iterable[list[AbilityAnswer]]:
    if not models.exists(named):
        raise dg.Failure(
            description=f"{models.path_of(named)}: the model is gone. Make it again with:\n"
            "  dagster asset materialize --select llava_checkpoint",
            allow_retries=False,
        )
    path, batch, limit = models.path_of(named), settings.answer_batch_size, settings.max_new_tokens
    return ask_model(path, planned, batch, limit, reporter(log), chat_template)


def _with_run(
    table: AnyTable, rows: Sequence[Mapping[str, object]], previous: pa.Table | None, run_id: str
) -> pa.Table:
    """Rows as a table; unchanged ones keep their run id."""
    before = {} if previous is None else {row[table.row_id]: row for row in table.rows(previous)}

    def with_run(row: Mapping[str, object]) -> Mapping[str, object]:
        earlier = before.get(row[table.row_id])
        return earlier if earlier and {**row, "run_id": earlier["run_id"]} == earlier else {**row, "run_id": run_id}

    return table.from_rows([with_run(row) for row in rows])


def _describe(
    rows: Sequence[JudgedScore],
    judgements: Sequence[AnswerJudgement],
    board: str,
    diagnosis: Sequence[CheckpointDiagnosis],
) -> Metadata:
    described: dict[str, MetadataEntry] = {"scores": dg.MetadataValue.md(board)}
    for benchmark, of_benchmark in by_benchmark(rows).items():
        suffix = "" if benchmark == PAINTED else f" of {benchmark}"
        described |= {f"{name}{suffix}": drawn for name, drawn in _plots(of_benchmark, benchmark).items()}
    judge = {"judge": dg.MetadataValue.md(judge_line(judgements))} if judgements else {}
    told = {"diagnosis": dg.MetadataValue.md(markdown_table(*diagnosis_table(diagnosis)))} if diagnosis else {}
    return described | judge | told


def _plots(scores: Sequence[JudgedScore], benchmark: str) -> Metadata:
    from stablellava_assets.report.plots import radar_chart, scores_chart

    reference = FIGURE_6.get(benchmark)
    bars = plot(
        scores_chart(scores, reference), f"{benchmark}: accuracy of the base and the tuned model, an ability a row"
    )
    radar = radar_chart(scores, reference)
    return {"plot": bars} | ({} if radar is None else {"radar": plot(radar, "the same, an ability an axis")})
