"""Photographs labelled in Open Images (Kuznetsova et al., 2020): people verified whether each label is present."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from stablellava_assets.evaluation.photographs.labels import LabelledPhotograph, LabelledPhotographs
from stablellava_assets.evaluation.photographs.writing import PhotographsError
from stablellava_assets.inputs.text_files import TextFileError, csv_rows, header_of, json_value, read_text


def read_open_images(labels: Path, classes: Path, images: Path, hierarchy: Path | None = None) -> LabelledPhotographs:
    """The human-verified images whose file, ``<ImageID>.jpg``, exists; the others are counted.

    Args:
        labels: such as ``validation-annotations-human-imagelabels.csv``: ``ImageID``, ``Source``, ``LabelName``,
            ``Confidence`` (1: present, 0: absent; machine-generated values in between are ignored).
        classes: such as ``oidv7-class-descriptions.csv``: ``LabelName``, ``DisplayName``; older files have no header.
        images: folder of the images.
        hierarchy: such as ``bbox_labels_600_hierarchy.json``, a tree of ``LabelName`` and ``Subcategory``, which
            defines the category of each label. None: categories are unknown.

    Raises:
        PhotographsError: a file cannot be read, has other columns, or contains an invalid row.
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
    found = [
        LabelledPhotograph(
            path, frozenset(shown), frozenset(absent.get(image_id, ())), f"Open Images {image_id}, CC BY 2.0", alike
        )
        for image_id, shown in sorted(present.items())
        if (path := _file(images, image_id)) is not None
    ]
    return LabelledPhotographs(found, len(present), {f"whose file is not in {images}": len(present) - len(found)})


def _file(images: Path, image_id: str) -> Path | None:
    for suffix in (".jpg", ".JPG", ".jpeg"):
        try:
            if (path := images / f"{image_id}{suffix}").is_file():
                return path
        except (OSError, ValueError):  # No name of a file.
            continue
    return None


def _rows(path: Path, columns: tuple[str, ...], headless: bool) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Every row, with its line number."""
    try:
        names: list[str] | None = None
        for row in csv_rows(read_text(path), str(path)):
            if not any(row.cells):
                continue
            if names is None:
                is_header = not (headless and row.cells[0].startswith("/m/"))
                names = header_of(row.cells, str(path)) if is_header else list(columns)
                if missing := set(columns) - set(names):
                    raise PhotographsError(f"{path}: lacks the columns {', '.join(sorted(missing))}")
                if is_header:
                    continue
            cells = dict(zip(names, row.cells, strict=False))
            if missing := set(columns) - set(cells):
                raise PhotographsError(f"{path}:{row.line}: lacks {', '.join(sorted(missing))}")
            yield row.line, cells
        if names is None:
            raise PhotographsError(f"{path}: is empty")
    except TextFileError as error:
        raise PhotographsError(str(error)) from error


def _alike(hierarchy: Path, names: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """For each label, those below the same child of the root that are neither its ancestors nor its descendants."""
    try:
        root = json_value(hierarchy)
        lineages = [lineage for sort in root["Subcategory"] for lineage in _lineages(sort, ())]
    except TextFileError as error:
        raise PhotographsError(str(error)) from error
    except (KeyError, TypeError, AttributeError) as error:
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
    """Each label below and including ``node``, with its ancestors."""
    lineage = (*above, node["LabelName"])
    yield lineage
    for below in node.get("Subcategory", ()):
        yield from _lineages(below, lineage)
