"""The ``ability_scores`` asset."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from stablellava_assets.assets.previews import plot
from stablellava_assets.assets.project import FOLLOW_UPSTREAM, ONE_RUN, OWNERS, check_specs, column_schema
from stablellava_assets.assets.published import Published
from stablellava_assets.assets.stage import Events, Made, Stage
from stablellava_assets.checks.ability_scores import SUITE
from stablellava_assets.evaluation.benchmark import PAINTED
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.report.folder import ReportError
from stablellava_assets.report.paper import FIGURE_6
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.rows import PlannedRow, Row
from stablellava_assets.tables.schemas import ABILITY_ANSWERS, MADE
from stablellava_assets.tables.store import Partition


@dg.asset(
    backfill_policy=ONE_RUN,
    automation_condition=FOLLOW_UPSTREAM,
    group_name="evaluation",
    owners=OWNERS,
    kinds={"pytorch", "duckdb"},
    metadata=column_schema(SUITE.table),
    check_specs=check_specs(SUITE),
    description=SUITE.table.description,
)
def ability_scores(
    context: dg.AssetExecutionContext,
    llava_checkpoint: Published,
    ability_benchmark: Published,
    workspace: dg.ResourceParam[Workspace],
) -> Events:
    """Ask the base and the tuned model every benchmark question and compare them, ability by ability."""
    stage = Stage(context, workspace, SUITE)
    checkpoint = llava_checkpoint.read(()).to_pylist()[-1]

    def make(partition: Partition) -> Made:
        planned = _plan_answers(checkpoint, ability_benchmark.read_all())

        def answer_all(missing: Sequence[PlannedRow]) -> Iterable[Row]:
            for model in ("base", "tuned"):
                of_model = [row for row in missing if row.inputs["model"] == model]
                if of_model:
                    folder = workspace.data / checkpoint["base_path" if model == "base" else "path"]
                    yield from _answer(context, workspace, folder, of_model)

        answers = stage.refresh(partition, planned, answer_all, ABILITY_ANSWERS)
        scores = _score(answers.data, checkpoint["checkpoint_id"], context.run_id)
        unchanged = not answers.computed and _say_the_same(workspace.store.read(SUITE.table, partition), scores)
        counts = {**answers.counts, "rows": scores.num_rows, "answers": answers.data.num_rows}
        return Made(scores, counts, unchanged, [(ABILITY_ANSWERS, answers.data)], metadata=_describe(scores))

    partition = (checkpoint["checkpoint_id"],)
    yield from stage.run([partition], make, lambda: _report(workspace, partition))


def _report(workspace: Workspace, partition: Partition) -> dict[str, Any]:
    """The page that says what the tuning bought, brought up to date; none where a gate has refused the only scores.

    Raises:
        dagster.Failure: it could not be written. The scores are published all the same.
    """
    if not workspace.store.holds(SUITE.table, partition):
        return {}
    try:
        page = workspace.report.publish(*partition)
    except ReportError as error:
        raise dg.Failure(description=str(error)) from error
    return {"report": dg.MetadataValue.url(page.absolute().as_uri())}


def _plan_answers(checkpoint: dict[str, Any], items: pa.Table) -> list[PlannedRow]:
    rows = [row for row in items.to_pylist() if row["status"] == MADE]
    planned = []
    for model, path in (("base", checkpoint["base_path"]), ("tuned", checkpoint["path"])):
        for item in rows:
            answer_id = content_key("answer", checkpoint["checkpoint_id"], model, item["item_id"])
            key = content_key("answer row", answer_id, path, item["row_key"])
            planned.append(
                PlannedRow(answer_id, key, {"model": model, "item": item, **_columns(checkpoint, model, item)})
            )
    return planned


def _columns(checkpoint: dict[str, Any], model: str, item: Row) -> dict[str, Any]:
    copied = ("benchmark", "ability", "item_id", "question_kind", "question", "accepted")
    return {
        "columns": {
            "checkpoint_id": checkpoint["checkpoint_id"],
            "model": model,
            **{name: item[name] for name in copied},
            "status": MADE,
            "reason": None,
        }
    }


def _answer(
    context: dg.AssetExecutionContext, workspace: Workspace, folder: Path, planned: Sequence[PlannedRow]
) -> Iterable[Row]:
    from stablellava_assets.evaluation.answering import Asked, answer
    from stablellava_assets.evaluation.scoring import is_correct

    if not folder.exists():
        raise dg.Failure(
            description=f"{folder}: the model is gone. Make it again with:\n"
            "  dagster asset materialize --select llava_checkpoint",
            allow_retries=False,
        )
    settings = workspace.profile.benchmark
    items = [row.inputs["item"] for row in planned]
    asked = [Asked(item["image"]["bytes"], item["question"]) for item in items]
    said = answer(folder, asked, settings.answer_batch_size, settings.max_new_tokens, context.log.info)
    for row, item, text in zip(planned, items, said, strict=True):
        correct = is_correct(text, item["accepted"], item["refused"], item["question_kind"])
        yield {
            "answer_id": row.row_id,
            **row.inputs["columns"],
            "answer": text,
            "correct": correct,
            "row_key": row.row_key,
        }


def _score(answers: pa.Table, checkpoint_id: str, run_id: str) -> pa.Table:
    from stablellava_assets.evaluation.scoring import score_answers

    rows = score_answers(answers.to_pylist())
    for row in rows:
        row["run_id"] = run_id
    return SUITE.table.from_rows(rows)


def _say_the_same(published: pa.Table | None, scores: pa.Table) -> bool:
    """Whether there is nothing to publish: another run computed the same, with the columns of this version."""
    return published is not None and published.drop_columns(["run_id"]).equals(scores.drop_columns(["run_id"]))


def _describe(scores: pa.Table) -> dict[str, Any]:
    from stablellava_assets.evaluation.scoreboard import scoreboard

    rows = scores.to_pylist()
    described: dict[str, Any] = {"scores": dg.MetadataValue.md(scoreboard(rows, markdown=True))}
    for benchmark in dict.fromkeys(row["benchmark"] for row in rows):
        suffix = "" if benchmark == PAINTED else f" {benchmark}"
        of_benchmark = [row for row in rows if row["benchmark"] == benchmark]
        described |= {f"{name}{suffix}": drawn for name, drawn in _plots(of_benchmark, benchmark).items()}
    return described


def _plots(scores: list[dict[str, Any]], benchmark: str) -> dict[str, Any]:
    from stablellava_assets.evaluation.plots import radar_chart, scores_chart

    reference = FIGURE_6.get(benchmark)
    bars = plot(scores_chart(scores, reference), "accuracy of the base and the tuned model, an ability a row")
    radar = radar_chart(scores, reference)
    return {"plot": bars} | ({} if radar is None else {"radar": plot(radar, "the same, an ability an axis")})
