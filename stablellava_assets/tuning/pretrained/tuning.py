"""Tuning a checkpoint of the hub: from kept pairs to a Hugging Face folder, in a process of its own."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stablellava_assets.tables.identity import content_key
from stablellava_assets.text.conversations import Turn
from stablellava_assets.tuning.pretrained.card import write_card
from stablellava_assets.tuning.pretrained.jobs import RESULT, SETTINGS, TRAINING_LOG, JobFolder, read_json, write_json
from stablellava_assets.tuning.pretrained.model import checkpoint_key, checkpoint_name, device_of
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
    """A kept pair: its pictures by id, and the turns about them."""

    pair_id: str
    ability: str
    kind: str
    image_ids: tuple[str, ...]
    conversations: tuple[Turn, ...]


@dataclass(frozen=True)
class PretrainedResult:
    """Where the tuned model lies and how its training went; ``log`` has a point every few steps."""

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
        """(step, mean loss since the point before) of the instruction tuning."""
        return [(point["step"], point["loss"]) for point in self.log if point["phase"] == "instruction"]


def checkpoint_id_of(pair_keys: Iterable[str], settings: PretrainedTuningSettings) -> str:
    """A hash of the pairs, the user's own data, the checkpoint tuned from, and the settings that shape the weights.

    Raises:
        PretrainedTuningError: the checkpoint's folder, or the user's data, is not there.
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
    pictures: Iterable[tuple[str, bytes]],
    licences: list[str],
    settings: PretrainedTuningSettings,
    checkpoint_id: str,
    destination: Path,
    progress: Callable[[str], None],
    launch: Launch | None = None,
) -> PretrainedResult:
    """Tune the checkpoint that ``settings`` name on ``pairs`` and the user's own data; save it to ``destination``.

    What a killed run had done is taken up again from ``<destination>.job``, which is removed at the end. The finished folder
    appears whole or not at all; where it is there already, it is the result.

    Args:
        pairs: kept pairs.
        pictures: the picture files they name, by id.
        licences: what the model card says on the terms of the data.
        settings: checkpoint and training.
        checkpoint_id: from :func:`checkpoint_id_of`.
        destination: the new folder.
        progress: gets a line now and then.
        launch: see :func:`run_job`.

    Raises:
        PretrainedTuningError: the checkpoint cannot be tuned; what to change is said.
    """
    job = JobFolder(destination.with_name(f"{destination.name}.job"))
    if (destination / RESULT).exists():
        progress(f"{destination.name} was tuned before; what is missing is its row in the table")
    else:
        _tune(job, pairs, pictures, licences, settings, checkpoint_id, progress, launch)
        # An earlier version's folder does not say how its training went.
        shutil.rmtree(destination, ignore_errors=True)
        job.result.rename(destination)
    shutil.rmtree(job.path, ignore_errors=True)
    told = read_json(destination / RESULT)
    return PretrainedResult(
        path=destination,
        base=told["base"],
        parameters=told["parameters"],
        pictures=told["pictures"],
        rows=told["rows"],
        rejected=told["rejected"],
        seconds=told["seconds"],
        log=read_log(destination / TRAINING_LOG),
    )


def _tune(
    job: JobFolder,
    pairs: Sequence[Pair],
    pictures: Iterable[tuple[str, bytes]],
    licences: list[str],
    settings: PretrainedTuningSettings,
    checkpoint_id: str,
    progress: Callable[[str], None],
    launch: Launch | None,
) -> None:
    """Have the job's result made, with all that the finished folder tells about it."""
    started = time.monotonic()
    device_of(settings)
    base = checkpoint_name(settings)
    job.path.mkdir(parents=True, exist_ok=True)
    if not job.rows.exists():
        _write_rows(job, pairs, pictures, settings)
    # The machine's settings may differ from those of a run that was killed.
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
    pictures: Iterable[tuple[str, bytes]],
    settings: PretrainedTuningSettings,
) -> None:
    job.pictures.mkdir(exist_ok=True)
    for image_id, content in pictures:
        (job.pictures / content_key(image_id)).write_bytes(content)
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
