"""Atomic replacement of folders, including links and mounted volumes."""

from __future__ import annotations

import errno
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stablellava_assets.inputs.folders import entries

_MOUNTS = Path("/proc/self/mountinfo")
_IMMOVABLE = {errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM}
"""Errors for a folder that cannot be moved, such as the root of a volume."""


@contextmanager
def whole_folder(place: Path) -> Iterator[Path]:
    """A folder to write into, which replaces ``place`` and its contents when the block ends without an error.

    If ``place`` is a link, its target is replaced. For a mounted volume, or a folder inside an unwritable one, the
    contents are replaced instead; readers may then briefly see parts of both. A
    killed process leaves a hidden folder ``.NAME.unfinished-...`` beside or in ``place``, which can be deleted.

    Raises:
        OSError: it cannot be written; the previous contents are unchanged.
    """
    try:
        place = place.resolve()
    except RuntimeError as error:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(place)) from error
    stays = place.is_dir() and (_is_mounted(place) or not os.access(place.parent, os.W_OK))
    unfinished = (place if stays else place.parent) / f".{place.name}.unfinished-{uuid.uuid4().hex[:12]}"
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        if stays:
            _fill(place, unfinished)
        else:
            _take_place(place, unfinished)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _is_mounted(place: Path) -> bool:
    """Whether a volume is mounted there. Bind mounts from the same disk are only in the kernel's list."""
    if place.is_mount():
        return True
    try:
        listed = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    places = (line.split(" ")[4] for line in listed if line.count(" ") > 4)
    return str(place) in {re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), each) for each in places}


def _take_place(place: Path, unfinished: Path) -> None:
    if not place.exists():
        unfinished.rename(place)
        return
    # A folder cannot replace a non-empty one, so the old one is renamed for a moment.
    old_folder = place.with_name(f".{place.name}.replaced-{uuid.uuid4().hex[:12]}")
    try:
        place.rename(old_folder)
    except OSError as error:
        if error.errno not in _IMMOVABLE:
            raise
        _fill(place, unfinished)
        return
    try:
        unfinished.rename(place)
    except OSError:
        old_folder.rename(place)
        raise
    # The new folder is in place: remains of the old one that cannot be deleted stay beside it.
    shutil.rmtree(old_folder, ignore_errors=True)


def _fill(place: Path, unfinished: Path) -> None:
    old_folder = place / f".replaced-{uuid.uuid4().hex[:12]}"
    old_folder.mkdir()
    old = [path for path in entries(place) if path not in (old_folder, unfinished)]
    new = list(unfinished.iterdir())
    moved: list[tuple[Path, Path]] = []
    try:
        for path, target in [
            *((path, old_folder / path.name) for path in old),
            *((path, place / path.name) for path in new),
        ]:
            shutil.move(path, target)
            moved.append((path, target))
    except OSError:
        for path, target in reversed(moved):
            shutil.move(target, path)
        old_folder.rmdir()
        raise
    shutil.rmtree(old_folder, ignore_errors=True)
