"""Writes the folder of an export atomically, with checksums."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stablellava_assets.inputs.explained import ExplainedError, remedy_of, system_message
from stablellava_assets.inputs.folders import entries, is_left_by_others
from stablellava_assets.tables.whole_folders import whole_folder

CHECKSUMS = "SHA256SUMS"
README = "README.md"
"""Part of every export."""


class DestinationError(ExplainedError, RuntimeError):
    """The folder cannot be written; the message names it and the remedy."""


@contextmanager
def export_folder(destination: Path, *, replace: bool) -> Iterator[Path]:
    """A folder to write into, which becomes ``destination`` when the block ends without an error.

    ``SHA256SUMS``, for ``sha256sum -c``, is added. Links and mounted volumes are preserved
    (:func:`stablellava_assets.tables.whole_folders.whole_folder`).

    Args:
        destination: the folder to create.
        replace: whether an earlier export may be replaced: a folder in which every file was written by an export.

    Raises:
        DestinationError: something else is there, or it cannot be written.
    """
    try:
        _refuse_foreign(destination, replace=replace)
        with whole_folder(destination) as unfinished:
            yield unfinished
            _write_checksums(unfinished)
    except OSError as error:
        raise DestinationError(
            f"{destination}: could not be written ({system_message(error)}); {remedy_of(error)}. What was there before "
            "is untouched."
        ) from error


def _refuse_foreign(destination: Path, *, replace: bool) -> None:
    if destination.exists() and (not destination.is_dir() or entries(destination)):
        if other := _not_exported(destination):
            raise DestinationError(f"{destination}: is there already and is no export ({other}); choose another folder")
        if not replace:
            raise DestinationError(f"{destination}: holds an export already; choose another folder or say --replace")


def _not_exported(destination: Path) -> str | None:
    """Why an existing folder is no export, or contains other files; None if it can be replaced without losing any."""
    checksums = destination / CHECKSUMS
    if not checksums.is_file():
        return f"it has no {CHECKSUMS}"
    listed = {line.partition("  ")[2] for line in checksums.read_text(encoding="utf-8", errors="replace").splitlines()}
    if README not in listed:
        return f"its {CHECKSUMS} lists no {README}"
    there = (path.relative_to(destination) for path in destination.rglob("*") if not path.is_dir())
    names = (path.as_posix() for path in there if not any(map(is_left_by_others, path.parts)))
    other = next((name for name in names if name != CHECKSUMS and name not in listed), None)
    return None if other is None else f"{other} is not among its {CHECKSUMS}"


def _write_checksums(folder: Path) -> None:
    lines = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"{digest}  {path.relative_to(folder).as_posix()}\n")
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")
