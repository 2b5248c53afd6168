"""Writes an export's folder so that it appears whole, with checksums, or not at all."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHECKSUMS = "SHA256SUMS"
README = "README.md"
"""Every export has one."""


class DestinationError(RuntimeError):
    """The folder cannot be written; the message names it and says what to do."""


@contextmanager
def export_folder(destination: Path, *, replace: bool) -> Iterator[Path]:
    """A folder to write into, which becomes ``destination`` once the block has ended without an error.

    ``SHA256SUMS`` is added, which ``sha256sum -c`` reads. A killed export leaves a hidden folder
    ``.NAME.unfinished-...`` beside the destination, which may be deleted.

    Args:
        destination: the folder to make.
        replace: whether an earlier export there may be replaced: a folder of which every file is one that an export wrote.

    Raises:
        DestinationError: something else is there, or it cannot be written.
    """
    destination = destination.absolute()
    if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
        if other := _not_exported(destination):
            raise DestinationError(f"{destination}: is there already and is no export ({other}); choose another folder")
        if not replace:
            raise DestinationError(f"{destination}: holds an export already; choose another folder or say --replace")
    unfinished = destination.with_name(f".{destination.name}.unfinished-{uuid.uuid4().hex[:12]}")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        _write_checksums(unfinished)
        _move(unfinished, destination)
    except OSError as error:
        raise DestinationError(
            f"{destination}: could not be written ({error.strerror or error}); make room or choose another folder. "
            "What was there before is untouched."
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _not_exported(destination: Path) -> str | None:
    """Why a folder that is there is no export, or holds what no export has written; None if nothing but that would be lost."""
    checksums = destination / CHECKSUMS
    if not checksums.is_file():
        return f"it has no {CHECKSUMS}"
    listed = {line.partition("  ")[2] for line in checksums.read_text(encoding="utf-8", errors="replace").splitlines()}
    if README not in listed:
        return f"its {CHECKSUMS} lists no {README}"
    there = (path.relative_to(destination).as_posix() for path in destination.rglob("*") if not path.is_dir())
    other = next((name for name in there if name != CHECKSUMS and name not in listed), None)
    return None if other is None else f"{other} is not among its {CHECKSUMS}"


def _write_checksums(folder: Path) -> None:
    lines = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"{digest}  {path.relative_to(folder).as_posix()}\n")
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def _move(unfinished: Path, destination: Path) -> None:
    if not destination.exists():
        unfinished.rename(destination)
        return
    # A folder cannot be moved over one that holds files: the old one steps aside for the moment that takes.
    aside = destination.with_name(f".{destination.name}.replaced-{uuid.uuid4().hex[:12]}")
    destination.rename(aside)
    try:
        unfinished.rename(destination)
    except OSError:
        aside.rename(destination)
        raise
    # The new export is in its place: what cannot be deleted of the old one lies beside it.
    shutil.rmtree(aside, ignore_errors=True)
