"""Writes a folder of photographs with their list, in the format that :mod:`records` reads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from stablellava_assets.evaluation.photographs.records import Photograph, read_photographs
from stablellava_assets.inputs.explained import ExplainedError, remedy_of, system_message
from stablellava_assets.inputs.folders import entries
from stablellava_assets.tables.whole_folders import whole_folder

LIST = "photographs.jsonl"


class PhotographsError(ExplainedError, ValueError):
    """A folder of photographs cannot be written; the message says why."""


def write_folder(folder: Path, photographs: Iterable[tuple[Photograph, Path]], abilities: Iterable[str]) -> int:
    """Copy each image to ``folder`` under the name in its line, and write the list; returns its length.

    The folder appears atomically.

    Raises:
        PhotographsError: the folder is not empty, there is nothing to write, or an image is missing.
        DocumentError: the written list is invalid, for example because an image cannot be decoded.
    """
    try:
        if (folder / LIST).is_file():
            raise PhotographsError(
                f"{folder}: is not empty.\nIt holds a list of photographs already, {LIST}: set benchmark.photographs "
                "to it, or name a new folder."
            )
        if folder.exists() and (not folder.is_dir() or entries(folder)):
            raise PhotographsError(f"{folder}: is not empty; name a new folder")
        with whole_folder(folder) as unfinished:
            return _fill(unfinished, photographs, abilities, folder)
    except OSError as error:
        raise PhotographsError(
            f"{folder}: cannot be written ({system_message(error)}); {remedy_of(error)}, or name another folder"
        ) from error


def _fill(
    folder: Path, photographs: Iterable[tuple[Photograph, Path]], abilities: Iterable[str], destination: Path
) -> int:
    lines = []
    for photograph, picture in photographs:
        target = folder / photograph.image
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(picture, target)
            except OSError as error:
                raise PhotographsError(f"{picture}: cannot be copied ({system_message(error)})") from error
        lines.append(json.dumps(photograph.model_dump(exclude_defaults=True), ensure_ascii=False))
    if not lines:
        raise PhotographsError(f"{destination}: no picture fits an ability, so nothing was written")
    (folder / LIST).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return len(read_photographs(folder, abilities))
