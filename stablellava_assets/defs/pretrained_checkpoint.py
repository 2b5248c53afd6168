"""Tunes a checkpoint of the Hugging Face hub for the ``llava_checkpoint`` asset."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import TypedDict

import dagster as dg
import pyarrow as pa

from stablellava_assets.defs.checkpoint_row import checkpoint_row
from stablellava_assets.defs.metadata import Metadata
from stablellava_assets.defs.previews import plot
from stablellava_assets.defs.published import Published
from stablellava_assets.exports.licences import Origins
from stablellava_assets.profiles.data_folder import DataFolder
from stablellava_assets.tables.pair_rows import Written
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.schemas import DIALOGUES, PROMPT_SPECS
from stablellava_assets.tables.score_rows import Checkpoint
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.table import columns_of, rows_of
from stablellava_assets.text.conversations import Turn
from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError
from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings


class KeptPair(TypedDict):
    """The columns of a kept pair that tuning uses."""

    pair_id: str
    row_key: str
    ability: str
    question_kind: str
    image_ids: list[str]
    conversations: list[Turn]


class _Painted(TypedDict):
    image_id: str
    painter: str
    model: str


def pretrained_checkpoint_id(pair_keys: Iterable[str], settings: PretrainedTuningSettings) -> str:
    """The id of the checkpoint.

    Raises:
        dagster.Failure: its base or the user's own data does not exist.
    """
    from stablellava_assets.tuning.pretrained.tuning import checkpoint_id_of

    try:
        return checkpoint_id_of(pair_keys, settings)
    except PretrainedTuningError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


def tune_pretrained_checkpoint(
    context: dg.AssetExecutionContext,
    store: ParquetStore,
    data: DataFolder,
    settings: PretrainedTuningSettings,
    checkpoint_id: str,
    pairs: pa.Table,
    images: Published,
) -> tuple[Checkpoint, Metadata]:
    """The checkpoint's row, and metadata about its training.

    Raises:
        dagster.Failure: it cannot be tuned; the message says what to change.
    """
    from stablellava_assets.tuning.pretrained.chart import training_chart
    from stablellava_assets.tuning.pretrained.tuning import Pair, PairImages, tune_pretrained

    kept = [
        Pair(
            row["pair_id"],
            row["ability"],
            row["question_kind"],
            tuple(row["image_ids"]),
            tuple(row["conversations"]),
        )
        for row in rows_of(KeptPair, pairs)
    ]
    wanted = {image_id for pair in kept for image_id in pair.image_ids}
    folder = data.models / f"llava-{checkpoint_id}"
    try:
        result = tune_pretrained(
            kept,
            PairImages(images.images, images.bytes_of_images),
            _licences(store, images, wanted),
            settings,
            checkpoint_id,
            folder,
            context.log.info,
        )
    except PretrainedTuningError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    described: Metadata = {
        "rejected rows": sum(result.rejected.values()),
        "reasons": json.dumps(result.rejected),
        "samples per second": round(result.log[-1]["samples_per_second"], 2),
        "peak memory, GiB": round(result.log[-1]["peak_memory_bytes"] / (1 << 30), 2),
        "training": plot(training_chart(result.log), "loss, learning rate, throughput and memory by step"),
    }
    pair_keys = texts_of(pairs, "row_key")
    return checkpoint_row(context.run_id, settings, data, checkpoint_id, result.base, pair_keys, result), described


def _licences(store: ParquetStore, images: Published, wanted: set[str]) -> list[str]:
    drawn = rows_of(_Painted, images.read_all(columns_of(_Painted)))
    painters: Counter[tuple[str, str | None]] = Counter(
        (row["painter"], row["model"]) for row in drawn if row["image_id"] in wanted
    )
    prompts, dialogues = (
        Counter((row["author"], row["model"]) for row in rows_of(Written, data))
        for data in (store.read_all(table, columns=columns_of(Written)) for table in (PROMPT_SPECS, DIALOGUES))
    )
    return Origins(painters, prompts, dialogues).licence_notes()
