"""Writes a folder of photographs with their list, as :mod:`records` reads it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from stablellava_assets.evaluation.photographs.records import Photograph, read_photographs

LIST = "photographs.jsonl"


class PhotographsError(ValueError):
    """A folder of photographs that cannot be written; the message says why."""


def write_folder(folder: Path, photographs: Iterable[tuple[Photograph, Path]], abilities: Iterable[str]) -> int:
    """Copy each picture to ``folder``, under the name its line gives it, and write the list; returns its length.

    Raises:
        PhotographsError: the folder is not empty, there is nothing to write, or a picture is missing.
        DocumentError: what was written would be refused, as where a picture cannot be decoded.
    """
    if folder.exists() and any(folder.iterdir()):
        raise PhotographsError(f"{folder}: is not empty")
    lines = []
    for photograph, picture in photographs:
        target = folder / photograph.image
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(picture, target)
            except OSError as error:
                raise PhotographsError(f"{picture}: cannot be copied ({error.strerror})") from error
        lines.append(json.dumps(photograph.model_dump(exclude_defaults=True), ensure_ascii=False))
    if not lines:
        raise PhotographsError(f"{folder}: no picture fits an ability, so nothing was written")
    (folder / LIST).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return len(read_photographs(folder, abilities))
