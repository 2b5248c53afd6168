"""Photographs labelled in Open Images (Kuznetsova et al., 2020): people said of each label whether it is there."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stablellava_assets.evaluation.photographs.labels import Labelled
from stablellava_assets.evaluation.photographs.writing import PhotographsError


def read_open_images(labels: Path, classes: Path, images: Path, hierarchy: Path | None = None) -> Iterator[Labelled]:
    """The pictures that people looked at and whose file, ``<ImageID>.jpg``, is there.

    Args:
        labels: as in ``validation-annotations-human-imagelabels.csv``: ``ImageID``, ``Source``, ``LabelName``, ``Confidence``
            (1: it is there, 0: it is not; what machines guess lies between, and says neither).
        classes: as in ``oidv7-class-descriptions.csv``: ``LabelName``, ``DisplayName``; older files have no header.
        images: folder of the pictures.
        hierarchy: as in ``bbox_labels_600_hierarchy.json``, a tree of ``LabelName`` and ``Subcategory``: which labels are of
            one sort. None: no label is known to be.

    Raises:
        PhotographsError: a file cannot be read, has other columns, or a row is at fault.
    """
    names = {
        row["LabelName"]: row["DisplayName"].casefold() for _, row in _rows(classes, ("LabelName", "DisplayName"), True)
    }
    alike = {} if hierarchy is None else _alike(hierarchy, names)
    present: dict[str, set[str]] = {}
    absent: dict[str, set[str]] = {}
    for line, row in _rows(labels, ("ImageID", "Source", "LabelName", "Confidence"), False):
        try:
            verified = {1.0: present, 0.0: absent}.get(float(row["Confidence"]))
        except ValueError as error:
            raise PhotographsError(f"{labels}:{line}: Confidence: is no number: {row['Confidence']!r}") from error
        if verified is not None:
            verified.setdefault(row["ImageID"], set()).add(names.get(row["LabelName"], row["LabelName"]))
    for image_id, shown in sorted(present.items()):
        path = images / f"{image_id}.jpg"
        if path.exists():
            credit = f"Open Images {image_id}, CC BY 2.0"
            yield Labelled(path, frozenset(shown), frozenset(absent.get(image_id, ())), credit, alike)


def _rows(path: Path, columns: tuple[str, ...], headless: bool) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Every row, with its line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as opened:
            first = next(csv.reader(opened), [])
            opened.seek(0)
            names = columns if headless and first and first[0].startswith("/m/") else None
            reader = csv.DictReader(opened, names)
            if missing := set(columns) - set(reader.fieldnames or ()):
                raise PhotographsError(f"{path}: lacks the columns {', '.join(sorted(missing))}")
            for row in reader:
                if missing := {column for column in columns if row[column] is None}:
                    raise PhotographsError(f"{path}:{reader.line_num}: lacks {', '.join(sorted(missing))}")
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PhotographsError(f"{path}: cannot be read: {error}") from error


def _alike(hierarchy: Path, names: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """For each label, those below the same child of the root that are neither wider nor narrower."""
    try:
        root = json.loads(hierarchy.read_text(encoding="utf-8-sig"))
        lineages = [lineage for sort in root["Subcategory"] for lineage in _lineages(sort, ())]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise PhotographsError(f"{hierarchy}: not a hierarchy of Open Images: {error!r}") from error
    members: dict[str, set[str]] = {}
    related: dict[str, set[str]] = {}
    for lineage in [[names.get(label, label) for label in labels] for labels in lineages]:
        members.setdefault(lineage[0], set()).add(lineage[-1])
        for wider in lineage:
            related.setdefault(wider, set()).add(lineage[-1])
            related.setdefault(lineage[-1], set()).add(wider)
    return {
        name: frozenset(other for sort in members.values() if name in sort for other in sort - kin)
        for name, kin in related.items()
    }


def _lineages(node: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Each label from ``node`` down, after those that are wider."""
    lineage = (*above, node["LabelName"])
    yield lineage
    for below in node.get("Subcategory", ()):
        yield from _lineages(below, lineage)
