"""Tunes a checkpoint of the hub on kept pairs in a separate process; the result is a Hugging Face folder."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from stablellava_assets.tables.encoded_images import EncodedImages
from stablellava_assets.tables.files import whole_file
from stablellava_assets.tables.identity import content_key
from stablellava_assets.text.conversations import Turn
from stablellava_assets.tuning.pretrained.card import write_card
from stablellava_assets.tuning.pretrained.disk import check_disk
from stablellava_assets.tuning.pretrained.jobs import RESULT, SETTINGS, TRAINING_LOG, JobFolder, read_json, write_json
from stablellava_assets.tuning.pretrained.model import checkpoint_key, checkpoint_name, device_of, load_outline
from stablellava_assets.tuning.pretrained.progress import LogPoint, read_log
from stablellava_assets.tuning.pretrained.rows import (
    PAIRS,
    TuningRow,
    count_by,
    mix_key,
    mixed_rows,
    read_rejections,
    write_rows,
)
from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings
from stablellava_assets.tuning.pretrained.supervisor import Launch, run_job


@dataclass(frozen=True)
class Pair:
    """A kept pair: its images by id, and its turns."""

    pair_id: str
    ability: str
    kind: str
    image_ids: tuple[str, ...]
    conversations: tuple[Turn, ...]


@dataclass(frozen=True)
class PretrainedResult:
    """Folder of the tuned model and its training log, which has a point every few steps."""

    path: Path
    base: str
    parameters: int
    pictures: int
    rows: int
    rejected: dict[str, int]
    seconds: float
    log: list[LogPoint] = field(repr=False)

    @property
    def loss_curve(self) -> list[tuple[int, float]]:
        """The loss curve of the instruction tuning: (step, mean loss since the previous point)."""
        return [(point["step"], point["loss"]) for point in self.log if point["phase"] == "instruction"]


class PairImages(NamedTuple):
    """The images of pairs: ``read`` yields wanted ones, a few in memory at a time; ``size`` is about their bytes."""

    read: EncodedImages
    size: Callable[[Collection[str]], int]


def checkpoint_id_of(pair_keys: Iterable[str], settings: PretrainedTuningSettings) -> str:
    """Hash of the pairs, the user's own data, the base checkpoint, and the settings that affect the weights.

    Raises:
        PretrainedTuningError: the checkpoint's folder or the user's data does not exist.
    """
    return content_key(
        "pretrained checkpoint",
        sorted(pair_keys),
        settings.of_the_result,
        checkpoint_key(settings),
        mix_key(settings.mix),
    )


def tune_pretrained(
    pairs: Sequence[Pair],
    images: PairImages,
    licences: list[str],
    settings: PretrainedTuningSettings,
    checkpoint_id: str,
    destination: Path,
    progress: Callable[[str], None],
    launch: Launch | None = None,
) -> PretrainedResult:
    """Tune the checkpoint in ``settings`` on ``pairs`` and the user's own data, and save it to ``destination``.

    An interrupted run is resumed from ``<destination>.job``, which is deleted at the end. The finished folder appears
    atomically; if it exists already, it is the result.

    Args:
        pairs: kept pairs.
        images: their images.
        licences: notes for the model card on the terms of the data.
        settings: checkpoint and training.
        checkpoint_id: from :func:`checkpoint_id_of`.
        destination: the new folder.
        progress: receives progress lines.
        launch: see :func:`run_job`.

    Raises:
        PretrainedTuningError: the checkpoint cannot be tuned; the message says what to change.
    """
    job = JobFolder(destination.with_name(f"{destination.name}.job"))
    if (destination / RESULT).exists():
        progress(f"{destination.name} was tuned before; what is missing is its row in the table")
    else:
        _tune(job, pairs, images, licences, settings, checkpoint_id, progress, launch)
        # Folders written by earlier versions lack the training log.
        shutil.rmtree(destination, ignore_errors=True)
        job.result.rename(destination)
    shutil.rmtree(job.path, ignore_errors=True)
    descriptions = read_json(destination / RESULT)
    return PretrainedResult(
        path=destination,
        base=descriptions["base"],
        parameters=descriptions["parameters"],
        pictures=descriptions["pictures"],
        rows=descriptions["rows"],
        rejected=descriptions["rejected"],
        seconds=descriptions["seconds"],
        log=read_log(destination / TRAINING_LOG),
    )


def _tune(
    job: JobFolder,
    pairs: Sequence[Pair],
    images: PairImages,
    licences: list[str],
    settings: PretrainedTuningSettings,
    checkpoint_id: str,
    progress: Callable[[str], None],
    launch: Launch | None,
) -> None:
    """Run the job and complete the finished folder with its documentation."""
    started = time.monotonic()
    device_of(settings)
    base = checkpoint_name(settings)
    job.path.mkdir(parents=True, exist_ok=True)
    if not job.rows.exists():
        _write_rows(job, pairs, images, settings)
    # The machine settings may differ from those of the interrupted run.
    job.write_settings(settings)
    run_job(job, settings, progress, launch)
    counts = read_json(job.result / RESULT)
    rejected = count_by([each.kind or each.reason for each in read_rejections(job.rejected)])
    abilities = count_by([pair.ability for pair in pairs])
    write_card(job.result, checkpoint_id, base, settings, counts, abilities, licences, rejected)
    for path in (job.rejected, job.training_log, job.path / SETTINGS, job.log):
        if path.exists():
            shutil.copy(path, job.result / path.name)
    seconds = time.monotonic() - started
    write_json(job.result / RESULT, {**counts, "base": base, "rejected": rejected, "seconds": seconds})


def _write_rows(
    job: JobFolder,
    pairs: Sequence[Pair],
    images: PairImages,
    settings: PretrainedTuningSettings,
) -> None:
    job.pictures.mkdir(exist_ok=True)
    copied = {path.name for path in job.pictures.iterdir()}
    wanted = {image_id for pair in pairs for image_id in pair.image_ids if content_key(image_id) not in copied}
    check_disk(job, settings, load_outline(settings).num_parameters(), images.size(wanted))
    for image_id, content in images.read(wanted):
        with whole_file(job.pictures / content_key(image_id)) as unfinished:
            unfinished.write_bytes(content)
    rows = [
        TuningRow(
            pair.pair_id,
            PAIRS,
            pair.kind,
            tuple(str((job.pictures / content_key(image_id)).resolve()) for image_id in pair.image_ids),
            pair.conversations,
        )
        for pair in pairs
    ]
    if settings.mix is not None:
        mixed, rejected = mixed_rows(settings.mix, len(pairs), settings.seed)
        rows += mixed
        write_rows(job.refused_by_reader, rejected)
    write_rows(job.rows, rows)
