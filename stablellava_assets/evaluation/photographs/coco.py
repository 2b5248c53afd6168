"""Photographs labelled by COCO (Lin et al., 2014): every object of its 80 categories is marked in every picture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from stablellava_assets.evaluation.photographs.labels import Labelled
from stablellava_assets.evaluation.photographs.writing import PhotographsError


def read_coco(annotations: Path, images: Path) -> Iterator[Labelled]:
    """The labelled pictures of an ``instances_*.json`` file; those without a label, or whose file is not there, are left out.

    The file is one JSON object of lists: ``images`` (``id``, ``file_name``, ``coco_url``, ``license``), ``annotations``
    (``image_id``, ``category_id``), ``categories`` (``id``, ``name``, ``supercategory``), ``licenses`` (``id``, ``url``).

    Raises:
        PhotographsError: the file cannot be read, or lacks one of these.
    """
    try:
        content = json.loads(annotations.read_text(encoding="utf-8-sig"))
        categories = {row["id"]: row["name"].casefold() for row in content["categories"]}
        sorts = {row["name"].casefold(): row.get("supercategory") for row in content["categories"]}
        licences = {row["id"]: row["url"] for row in content.get("licenses", [])}
        present: dict[int, set[str]] = {}
        for row in content["annotations"]:
            present.setdefault(row["image_id"], set()).add(categories[row["category_id"]])
        pictures = [(row["id"], row["file_name"], row.get("coco_url"), row.get("license")) for row in content["images"]]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise PhotographsError(f"{annotations}: not a COCO instances file: {error!r}") from error
    everything, alike = frozenset(categories.values()), _alike(sorts)
    for picture_id, name, url, licence in pictures:
        if picture_id in present and (images / name).exists():
            shown = frozenset(present[picture_id])
            credit = ", ".join(part for part in (url, licences.get(licence)) if part) or None
            yield Labelled(images / name, shown, everything - shown, credit, alike)


def _alike(sorts: Mapping[str, str | None]) -> dict[str, frozenset[str]]:
    """The other names of each name's supercategory; a file of one's own may have none."""
    return {
        name: frozenset(other for other, its in sorts.items() if its == sort and other != name)
        for name, sort in sorts.items()
        if sort is not None
    }
