"""Whether the disk has room for a tuning, before anything is copied or any weight is read."""

from __future__ import annotations

import shutil
from pathlib import Path

from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError
from stablellava_assets.tuning.pretrained.jobs import JobFolder
from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings


def check_disk(job: JobFolder, settings: PretrainedTuningSettings, weights: int, pictures: int = 0) -> None:
    """Refuse a job that the disk cannot hold: the ``pictures`` still to be copied (bytes), the result, and two
    checkpoints, each with the trained weights and Adam's two moments in float32.

    Raises:
        PretrainedTuningError: there is too little room.
    """
    moving = weights if settings.model.method == "full" else weights // 10
    needed = 4 * weights + 2 * 12 * moving - _size(job.checkpoints("instruction")) + pictures
    free = shutil.disk_usage(job.path).free
    if free < needed:
        copies = f" ({pictures / 1e9:.1f} GB of them for copies of the pictures)" if pictures else ""
        raise PretrainedTuningError(
            f"{job.path} has {free / 1e9:.1f} GB free, and tuning {settings.model.model} by {settings.model.method} "
            f"may need {needed / 1e9:.1f} GB there{copies}: make room, or move storage.data{_unfinished_beside(job)}"
        )


def _unfinished_beside(job: JobFolder) -> str:
    others = [path for path in sorted(job.path.parent.glob("*.job")) if path != job.path]
    named = ", ".join(f"{path.name} ({_size(path) / 1e9:.1f} GB)" for path in others)
    return (
        f"; left by tunings that did not finish, and safe to delete unless one is to go on: {named}" if others else ""
    )


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
