"""The ``llava_checkpoint`` asset."""

import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.checks.llava_checkpoint import SUITE
from stablellava_assets.defs.checkpoint_row import checkpoint_row
from stablellava_assets.defs.metadata import Metadata
from stablellava_assets.defs.only import OnlyAbility
from stablellava_assets.defs.pretrained_checkpoint import KeptPair, pretrained_checkpoint_id, tune_pretrained_checkpoint
from stablellava_assets.defs.previews import plot
from stablellava_assets.defs.project import FOLLOW_UPSTREAM, stage_asset
from stablellava_assets.defs.published import Published, Tables
from stablellava_assets.defs.reporting import reporter
from stablellava_assets.defs.settled import settled_tables
from stablellava_assets.defs.stage import Events, PartitionResult, Stage
from stablellava_assets.models.folders import ModelFolders
from stablellava_assets.painters.base import Painter
from stablellava_assets.profiles.data_folder import DataFolder
from stablellava_assets.profiles.profile import Profile
from stablellava_assets.tables.checkpoints import checkpoints, current_from_now, divide_earlier
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.reading import is_same, texts_of
from stablellava_assets.tables.schemas import FILTERED_PAIRS, IMAGES, LLAVA_CHECKPOINT
from stablellava_assets.tables.score_rows import Checkpoint, CheckpointFolders
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets.tables.table import columns_of, rows_of
from stablellava_assets.tuning.embedded.continuing import continued_settings, is_start, rehearsed
from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings
from stablellava_assets.tuning.settings import TuningSettings


@stage_asset(SUITE, {"pytorch", "huggingface"}, ["filtered_pairs", "images"], condition=FOLLOW_UPSTREAM, pool="tuning")
def llava_checkpoint(
    context: dg.AssetExecutionContext,
    config: OnlyAbility,
    tables: dg.ResourceParam[Tables],
    profile: dg.ResourceParam[Profile],
    catalog: dg.ResourceParam[Catalog],
    painter: dg.ResourceParam[Painter],
    folder: dg.ResourceParam[DataFolder],
    models: dg.ResourceParam[ModelFolders],
) -> Events:
    """Tune the base model on every kept pair; the same pairs and settings are never tuned on twice.

    With ``only``, tuning is on the pairs of one ability and as many others. That of the embedded model goes on from the
    newest checkpoint that was tuned on every pair.
    """
    stage, settings = Stage(context, tables, SUITE), profile.tuning
    settled = settled_tables(context, tables, profile, folder)
    filtered_pairs, images = settled.upstream(FILTERED_PAIRS), tables.upstream(IMAGES)
    with tables.locks.hold(f"{LLAVA_CHECKPOINT.name}/whole"):
        divide_earlier(tables.store)
    pairs = filtered_pairs.read_all(columns_of(KeptPair))
    only = config.of(catalog)
    if only is not None:
        pairs = _of_one(pairs, only)
    pair_keys = texts_of(pairs, "row_key")
    start = None
    if isinstance(settings, PretrainedTuningSettings):
        checkpoint_id = pretrained_checkpoint_id(pair_keys, settings)
    elif only is None:
        checkpoint_id = content_key("checkpoint", sorted(pair_keys), settings)
    else:
        settings, start = continued_settings(settings), _last_on_every_pair(tables.store)
        checkpoint_id = content_key("continued checkpoint", sorted(pair_keys), settings, only, start)

    def make(partition: Partition) -> PartitionResult:
        history = checkpoints(tables.store, Checkpoint)
        known = {row["checkpoint_id"]: row for row in [*stage.finished(partition, LLAVA_CHECKPOINT), *history]}
        row = known.get(checkpoint_id)
        reused = row is not None and all(models.exists(named) for named in (row["path"], row["base_path"]))
        described: Metadata = {}
        if row is None or not reused:
            if isinstance(settings, PretrainedTuningSettings):
                row, described = tune_pretrained_checkpoint(
                    context, tables.store, folder, settings, checkpoint_id, pairs, images
                )
            else:
                # Checkpoints of other pairs are tuned from the same base, perhaps at the same time.
                with tables.locks.hold("models/base"):
                    if only is None:
                        base = _base(settings, catalog, painter, models, reporter(context.log))
                    else:
                        base = _with_words_of(only, start, settings, catalog, painter, models, reporter(context.log))
                row = _tune(context, base, folder, settings, checkpoint_id, pairs, images)
            stage.finish(partition, LLAVA_CHECKPOINT, row)
        for named in (row["base_path"], row["path"]):
            models.publish(named)
        is_current = bool(history) and history[-1]["checkpoint_id"] == checkpoint_id
        if not (reused and is_current):
            row = Checkpoint(**{**row, "current_since": current_from_now(history)})
        data = LLAVA_CHECKPOINT.from_rows([row])
        published = tables.store.read(LLAVA_CHECKPOINT, partition)
        counts = {"rows": data.num_rows, "reused": int(reused), "computed": int(not reused)}
        return PartitionResult(
            data, counts, unchanged=is_same(data, published), metadata={**_describe(row), **described}
        )

    yield from stage.run([(checkpoint_id,)], make)


def _base(
    settings: TuningSettings, catalog: Catalog, painter: Painter, models: ModelFolders, progress: Callable[[str], None]
) -> Path:
    from stablellava_assets.tuning.embedded.base import prepare_base

    return prepare_base(settings, catalog, painter, models, progress)


def _last_on_every_pair(store: ParquetStore) -> str | None:
    """The newest checkpoint that was tuned from a base, not from another checkpoint, as named in rows."""
    rows = checkpoints(store, CheckpointFolders)
    return next((row["path"] for row in reversed(rows) if not is_start(row["base_path"])), None)


def _of_one(pairs: pa.Table, ability: str) -> pa.Table:
    """The pairs of an ability, and as many others."""
    of_it = pc.equal(pairs["ability"], pa.scalar(ability))
    own, others = pairs.filter(of_it), rows_of(KeptPair, pairs.filter(pc.invert(of_it)))
    keys = {pair["row_key"] for pair in rehearsed(others, own.num_rows)}
    return pairs.filter(pc.or_(of_it, pc.is_in(pairs["row_key"], pa.array(keys, pa.string()))))


def _with_words_of(
    ability: str,
    start: str | None,
    settings: TuningSettings,
    catalog: Catalog,
    painter: Painter,
    models: ModelFolders,
    progress: Callable[[str], None],
) -> Path:
    """A checkpoint, by default the base, with the words of an ability."""
    from stablellava_assets.tuning.embedded.continuing import with_words
    from stablellava_assets.tuning.embedded.tokenizer import catalog_texts

    if start is None:
        checkpoint = _base(settings, catalog, painter, models, progress)
    else:
        checkpoint = Path(models.path_of(start))
        progress(f"going on from {start}")
    return with_words(checkpoint, catalog_texts(Catalog({ability: catalog[ability]})), models.folder)


def _tune(
    context: dg.AssetExecutionContext,
    base: Path,
    folder: DataFolder,
    settings: TuningSettings,
    checkpoint_id: str,
    pairs: pa.Table,
    images: Published,
) -> Checkpoint:
    from stablellava_assets.tuning.embedded.training import TrainingExample, tune

    kept = rows_of(KeptPair, pairs)
    examples = [TrainingExample(pair["image_ids"], None, pair["conversations"]) for pair in kept]
    pictures = len({image_id for example in examples for image_id in example.image_ids})
    context.log.info(f"tuning on {len(examples)} pairs about {pictures} pictures")
    result_folder = folder.models / f"llava-{checkpoint_id}"
    # A folder without a row is left over from a run that died between writing the two.
    shutil.rmtree(result_folder, ignore_errors=True)
    result = tune(base, examples, settings, result_folder, reporter(context.log), images.images)
    pair_keys = texts_of(pairs, "row_key")
    return checkpoint_row(
        context.run_id, settings, folder, checkpoint_id, str(base.relative_to(folder.path)), pair_keys, result
    )


def _describe(row: Checkpoint) -> Metadata:
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
