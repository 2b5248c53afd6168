"""The ``llava_checkpoint`` asset."""

import shutil
from typing import Any

import dagster as dg
import pyarrow as pa

from stablellava_assets.checks.llava_checkpoint import SUITE
from stablellava_assets.defs.checkpoint_row import checkpoint_row
from stablellava_assets.defs.pretrained_checkpoint import pretrained_checkpoint_id, tune_pretrained_checkpoint
from stablellava_assets.defs.previews import plot
from stablellava_assets.defs.project import FOLLOW_UPSTREAM, ONE_RUN, OWNERS, check_specs, column_schema, explained
from stablellava_assets.defs.published import Published
from stablellava_assets.defs.stage import Events, Made, Stage
from stablellava_assets.models.names import is_there
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.store import Partition
from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings
from stablellava_assets.tuning.settings import TuningSettings


@dg.asset(
    backfill_policy=ONE_RUN,
    automation_condition=FOLLOW_UPSTREAM,
    group_name="tuning",
    owners=OWNERS,
    kinds={"pytorch", "huggingface"},
    metadata=column_schema(SUITE.table),
    check_specs=check_specs(SUITE),
    description=SUITE.table.description,
)
@explained
def llava_checkpoint(
    context: dg.AssetExecutionContext,
    filtered_pairs: Published,
    images: Published,
    workspace: dg.ResourceParam[Workspace],
) -> Events:
    """Tune the base model on every kept pair; the same pairs and settings are never tuned on twice."""
    stage = Stage(context, workspace, SUITE)

    def make(partition: Partition) -> Made:
        history = workspace.store.read_all(SUITE.table)
        settings = workspace.profile.tuning
        columns = ["pair_id", "row_key", "ability", "question_kind", "image_ids", "conversations"]
        pairs = filtered_pairs.read_all(columns)
        pair_keys = pairs["row_key"].to_pylist()
        if isinstance(settings, PretrainedTuningSettings):
            checkpoint_id = pretrained_checkpoint_id(pair_keys, settings)
        else:
            checkpoint_id = content_key("checkpoint", sorted(pair_keys), settings)
        known = {row["checkpoint_id"]: row for row in [*stage.finished(partition), *history.to_pylist()]}
        row = known.get(checkpoint_id)
        reused = row is not None and all(is_there(workspace.data, row[name]) for name in ("path", "base_path"))
        described: dict[str, Any] = {}
        if row is None or not reused:
            if isinstance(settings, PretrainedTuningSettings):
                row, described = tune_pretrained_checkpoint(context, workspace, settings, checkpoint_id, pairs, images)
            else:
                row = _tune(context, workspace, settings, checkpoint_id, pairs, images)
            stage.finish(partition, row)
        others = [other for other in history.to_pylist() if other["checkpoint_id"] != checkpoint_id]
        data = SUITE.table.from_rows([*others, row])
        counts = {"rows": data.num_rows, "reused": int(reused), "computed": int(not reused)}
        return Made(data, counts, unchanged=data.equals(history), metadata={**_describe(row), **described})

    yield from stage.run([()], make)


def _tune(
    context: dg.AssetExecutionContext,
    workspace: Workspace,
    settings: TuningSettings,
    checkpoint_id: str,
    pairs: pa.Table,
    images: Published,
) -> dict[str, Any]:
    from stablellava_assets.tuning.embedded.base import prepare_base
    from stablellava_assets.tuning.embedded.training import TrainingExample, tune

    models = workspace.data / "models"
    base = prepare_base(settings, workspace.catalog, workspace.painter, models, context.log.info)
    wanted = {image_id for image_ids in pairs["image_ids"].to_pylist() for image_id in image_ids}
    pictures = {
        row["image_id"]: row["image"]["bytes"]
        for row in images.read_all(["image_id", "image"]).to_pylist()
        if row["image_id"] in wanted
    }
    examples = [
        TrainingExample(row["image_ids"][0], pictures[row["image_ids"][0]], row["conversations"])
        for row in pairs.to_pylist()
    ]
    context.log.info(f"tuning on {len(examples)} pairs about {len(pictures)} pictures")
    folder = models / f"llava-{checkpoint_id}"
    # A folder without its row was left by a run that died between writing the two.
    shutil.rmtree(folder, ignore_errors=True)
    result = tune(base, examples, settings, folder, context.log.info)
    pair_keys = pairs["row_key"].to_pylist()
    return checkpoint_row(context, workspace, checkpoint_id, str(base.relative_to(workspace.data)), pair_keys, result)


def _describe(row: dict[str, Any]) -> dict[str, Any]:
    from stablellava_assets.report.plots import loss_chart

    curve = [(point["step"], point["loss"]) for point in row["loss_curve"]]
    return {
        "checkpoint": row["checkpoint_id"],
        "folder": row["path"],
        "base": row["base_path"],
        "pairs": row["pairs"],
        "pictures": row["images"],
        "trained parameters": row["parameters"],
        "seconds of tuning": round(row["seconds"], 1),
        "loss": plot(loss_chart(curve), "training loss by step"),
    }
