"""Folders that appear whole or not at all, also where their place is a link or a mounted volume."""

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
_HELD = {errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM}
"""Errors of a folder that cannot be moved, as the root of a volume."""


@contextmanager
def whole_folder(place: Path) -> Iterator[Path]:
    """A folder to write into, which takes the place of ``place`` and of all that lies there, once the block has ended well.

    Where ``place`` is a link, it is what the link leads to. A mounted volume, and a folder in a folder that may not be
    written, stay where they are, and what lies in them is replaced; then readers may see a part of both for a moment. A
    killed process leaves a hidden folder ``.NAME.unfinished-...`` beside the place, or in it, which may be deleted.

    Raises:
        OSError: it cannot be written; what was there before is untouched.
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
    """Whether a volume is mounted there; one that is bound from the same disk is told by the kernel's list alone."""
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
    # A folder cannot be moved over one that holds files: the old one steps aside for the moment that takes.
    aside = place.with_name(f".{place.name}.replaced-{uuid.uuid4().hex[:12]}")
    try:
        place.rename(aside)
    except OSError as error:
        if error.errno not in _HELD:
            raise
        _fill(place, unfinished)
        return
    try:
        unfinished.rename(place)
    except OSError:
        aside.rename(place)
        raise
    # The new folder is in its place: what cannot be deleted of the old one lies beside it.
    shutil.rmtree(aside, ignore_errors=True)


def _fill(place: Path, unfinished: Path) -> None:
    """Put what lies in ``unfinished`` in the place of what lies in ``place``."""
    aside = place / f".replaced-{uuid.uuid4().hex[:12]}"
    aside.mkdir()
    old = [path for path in entries(place) if path not in (aside, unfinished)]
    new = list(unfinished.iterdir())
    moved: list[tuple[Path, Path]] = []
    try:
        for path, target in [
            *((path, aside / path.name) for path in old),
            *((path, place / path.name) for path in new),
        ]:
            shutil.move(path, target)
            moved.append((path, target))
    except OSError:
        for path, target in reversed(moved):
            shutil.move(target, path)
        aside.rmdir()
        raise
    shutil.rmtree(aside, ignore_errors=True)
