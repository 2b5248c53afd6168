"""Photographs annotated by COCO (Lin et al., 2014): every object of its 80 categories is annotated in every image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from stablellava_assets.evaluation.photographs.labels import LabelledPhotograph, LabelledPhotographs
from stablellava_assets.evaluation.photographs.writing import PhotographsError
from stablellava_assets.inputs.text_files import TextFileError, json_value


def read_coco(annotations: Path, images: Path) -> LabelledPhotographs:
    """The annotated images of an ``instances_*.json`` file, by COCO or by other tools.

    The file is one JSON object of lists: ``images`` (``id``, ``file_name``, ``coco_url``, ``license``), ``annotations``
    (``image_id``, ``category_id``), ``categories`` (``id``, ``name``, ``supercategory``), ``licenses`` (``id``, ``url``
    or ``name``). Ids may be numbers or strings. A ``file_name`` with leading folders from another machine is matched by
    its longest existing suffix. Images without a label, without a usable name, or without a file are counted.

    Raises:
        PhotographsError: the file cannot be read, or has another structure.
    """
    try:
        content = json_value(annotations)
    except TextFileError as error:
        raise PhotographsError(f"{annotations}: not a COCO instances file: {error.in_file}") from error
    listed, marks, kinds = (_rows(annotations, content, key) for key in ("images", "annotations", "categories"))
    names, supercategories = _categories(annotations, kinds)
    licences = {_id(row.get("id")): row.get("url") or row.get("name") for row in _optional_rows(content, "licenses")}
    present: dict[str | None, set[str]] = {}
    left_out: Counter[str] = Counter()
    for row in marks:
        name = names.get(_id(row.get("category_id")))
        if name is None or _id(row.get("image_id")) is None:
            left_out["annotations without a picture or a category that the file lists"] += 1
        else:
            present.setdefault(_id(row["image_id"]), set()).add(name)
    everything, alike = frozenset(names.values()), _alike(supercategories)
    found: dict[str, LabelledPhotograph] = {}
    for row in listed:
        path = _file(row.get("file_name"), images)
        shown = frozenset(present.get(_id(row.get("id")), ()))
        if path is None:
            left_out[f"whose file_name leads to no file below {images}"] += 1
        elif not shown:
            left_out["without a label"] += 1
        else:
            credit = ", ".join(
                part
                for part in (row.get("coco_url"), licences.get(_id(row.get("license"))))
                if isinstance(part, str) and part
            )
            name = path.relative_to(images).as_posix()
            found[name] = LabelledPhotograph(path, shown, everything - shown, credit or None, alike, name)
    return LabelledPhotographs(list(found.values()), len(listed), left_out)


def _rows(annotations: Path, content: object, key: str) -> list[Mapping[str, Any]]:
    rows = content.get(key) if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        contents = (
            f"its keys are {', '.join(map(repr, content)) or 'none'}"
            if isinstance(content, dict)
            else "it is no JSON object"
        )
        raise PhotographsError(
            f"{annotations}: not a COCO instances file: it has no list of objects in {key!r}; {contents}"
        )
    return rows


def _optional_rows(content: Mapping[str, object], key: str) -> list[Mapping[str, Any]]:
    rows = content.get(key)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _categories(
    annotations: Path, rows: list[Mapping[str, object]]
) -> tuple[dict[str | None, str], dict[str, str | None]]:
    names: dict[str | None, str] = {}
    supercategories: dict[str, str | None] = {}
    for row in rows:
        name, supercategory = row.get("name"), row.get("supercategory")
        if not isinstance(name, str) or not name.strip() or _id(row.get("id")) is None:
            raise PhotographsError(f"{annotations}: categories: {dict(row)!r} lacks an id or a name")
        if names.get(_id(row["id"]), name.strip().casefold()) != name.strip().casefold():
            raise PhotographsError(
                f"{annotations}: categories: the id {row['id']!r} stands for {names[_id(row['id'])]!r} and for "
                f"{name.strip()!r}; give each an id of its own"
            )
        names[_id(row["id"])] = name.strip().casefold()
        # Tools without such a hierarchy write a placeholder.
        supercategories[name.strip().casefold()] = (
            supercategory if isinstance(supercategory, str) and supercategory.casefold() not in ("", "none") else None
        )
    return names, supercategories


def _id(value: object) -> str | None:
    """An id as text: 7, 7.0 and "7" are equal."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return str(value).strip() or None


def _file(named: object, images: Path) -> Path | None:
    """The file below ``images`` that matches the longest suffix of ``file_name``."""
    if not isinstance(named, str) or "\0" in named:
        return None
    for written in dict.fromkeys(
        (
            named,
            unquote(named),
            named.partition("?")[0],
            unquote(named.partition("?")[0]),
            named.partition("?d=")[2],
            unquote(named.partition("?d=")[2]),
        )
    ):
        parts = [part for part in PurePosixPath(written.replace("\\", "/")).parts if part not in ("/", "..", ".")]
        for start in range(len(parts)):
            path = images.joinpath(*parts[start:])
            try:
                if path.is_file():
                    return path
            except OSError:  # A name that is too long, a folder that may not be read.
                continue
    return None


def _alike(supercategories: Mapping[str, str | None]) -> dict[str, frozenset[str]]:
    """The other names of each name's supercategory. Files by other tools may have none."""
    return {
        name: frozenset(other for other, its in supercategories.items() if its == supercategory and other != name)
        for name, supercategory in supercategories.items()
        if supercategory is not None
    }
