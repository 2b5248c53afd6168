"""Photographs labelled in Open Images (Kuznetsova et al., 2020): people said of each label whether it is there."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from stablellava_assets.evaluation.photographs.labels import Labelled
from stablellava_assets.evaluation.photographs.writing import PhotographsError


def read_open_images(labels: Path, classes: Path, images: Path) -> Iterator[Labelled]:
    """The pictures that people looked at and whose file, ``<ImageID>.jpg``, is there.

    Args:
        labels: as in ``validation-annotations-human-imagelabels.csv``: ``ImageID``, ``Source``, ``LabelName``, ``Confidence``
            (1: it is there, 0: it is not).
        classes: as in ``oidv7-class-descriptions.csv``: ``LabelName``, ``DisplayName``; older files have no header.
        images: folder of the pictures.

    Raises:
        PhotographsError: a file cannot be read, or has other columns.
    """
    names = {
        row["LabelName"]: row["DisplayName"].casefold() for row in _rows(classes, ("LabelName", "DisplayName"), True)
    }
    present: dict[str, set[str]] = {}
    absent: dict[str, set[str]] = {}
    for row in _rows(labels, ("ImageID", "Source", "LabelName", "Confidence"), False):
        verified = present if float(row["Confidence"]) == 1 else absent
        verified.setdefault(row["ImageID"], set()).add(names.get(row["LabelName"], row["LabelName"]))
    for image_id, shown in sorted(present.items()):
        path = images / f"{image_id}.jpg"
        if path.exists():
            yield Labelled(
                path, frozenset(shown), frozenset(absent.get(image_id, ())), f"Open Images {image_id}, CC BY 2.0"
            )


def _rows(path: Path, columns: tuple[str, ...], headless: bool) -> Iterator[Mapping[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as opened:
            first = next(csv.reader(opened), [])
            opened.seek(0)
            names = columns if headless and first and first[0].startswith("/m/") else None
            reader = csv.DictReader(opened, names)
            if missing := set(columns) - set(reader.fieldnames or ()):
                raise PhotographsError(f"{path}: lacks the columns {', '.join(sorted(missing))}")
            yield from reader
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PhotographsError(f"{path}: cannot be read: {error}") from error
