"""Writes the folder of an export atomically, with checksums."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from stablellava_assets.inputs.explained import ExplainedError, remedy_of, system_message
from stablellava_assets.inputs.folders import entries, is_left_by_others
from stablellava_assets.tables.places import CHECKSUMS, Place, checksums_of, place_at
from stablellava_assets.tables.whole_folders import whole_folder

README = "README.md"
"""Part of every export."""


class DestinationError(ExplainedError, RuntimeError):
    """The folder cannot be written; the message names it and the remedy."""


@contextmanager
def export_folder(destination: Path | str, *, replace: bool) -> Iterator[Path]:
    """A folder to write into, which becomes ``destination`` when the block ends without an error.

    ``SHA256SUMS``, for ``sha256sum -c``, is added. Links and mounted volumes are preserved
    (:func:`stablellava_assets.tables.whole_folders.whole_folder`). What goes to a URL is written to the folder for
    temporary files first; ``SHA256SUMS`` is sent last.

    Args:
        destination: the folder to create, or a URL, which is not replaced: readers would see files of both.
        replace: whether an earlier export may be replaced: a folder in which every file was written by an export.

    Raises:
        DestinationError: something else is there, or it cannot be written.
    """
    try:
        if "://" in str(destination):
            with _sent_to(place_at(destination, "DESTINATION")) as unfinished:
                yield unfinished
            return
        folder = Path(destination)
        _refuse_foreign(folder, replace=replace)
        with whole_folder(folder) as unfinished:
            yield unfinished
            _write_checksums(unfinished)
    except OSError as error:
        raise DestinationError(
            f"{destination}: could not be written ({system_message(error)}); {remedy_of(error)}. What was there before "
            "is untouched."
        ) from error


@contextmanager
def _sent_to(place: Place) -> Iterator[Path]:
    if place.names(""):
        raise DestinationError(f"{place.at()}: holds files already; choose another folder, or delete it there")
    place.check()
    with TemporaryDirectory(prefix="export-") as made:
        yield Path(made)
        _write_checksums(Path(made))
        place.put("", Path(made))


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
    (folder / CHECKSUMS).write_text(checksums_of(folder), encoding="utf-8")
