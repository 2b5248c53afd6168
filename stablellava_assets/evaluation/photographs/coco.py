"""Photographs labelled by COCO (Lin et al., 2014): every object of its 80 categories is marked in every picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from stablellava_assets.evaluation.photographs.labels import Labelled, Labels
from stablellava_assets.evaluation.photographs.writing import PhotographsError
from stablellava_assets.inputs.text_files import TextFileError, json_value


def read_coco(annotations: Path, images: Path) -> Labels:
    """The labelled pictures of an ``instances_*.json`` file, as COCO has them and as other tools write them.

    The file is one JSON object of lists: ``images`` (``id``, ``file_name``, ``coco_url``, ``license``), ``annotations``
    (``image_id``, ``category_id``), ``categories`` (``id``, ``name``, ``supercategory``), ``licenses`` (``id``, ``url`` or
    ``name``). Ids are numbers or text, and the same in either. A ``file_name`` with folders of the tool's own, or of another
    machine, is looked for by its end. Those without a label, without a usable name, or whose file is not there, are counted.

    Raises:
        PhotographsError: the file cannot be read, or is no such object.
    """
    try:
        content = json_value(annotations)
    except TextFileError as error:
        raise PhotographsError(f"{annotations}: not a COCO instances file: {error.in_file}") from error
    listed, marks, kinds = (_rows(annotations, content, key) for key in ("images", "annotations", "categories"))
    names, sorts = _categories(annotations, kinds)
    licences = {_id(row.get("id")): row.get("url") or row.get("name") for row in _optional_rows(content, "licenses")}
    present: dict[str | None, set[str]] = {}
    left_out: Counter[str] = Counter()
    for row in marks:
        name = names.get(_id(row.get("category_id")))
        if name is None or _id(row.get("image_id")) is None:
            left_out["annotations without a picture or a category that the file lists"] += 1
        else:
            present.setdefault(_id(row["image_id"]), set()).add(name)
    everything, alike = frozenset(names.values()), _alike(sorts)
    found: dict[str, Labelled] = {}
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
            found[name] = Labelled(path, shown, everything - shown, credit or None, alike, name)
    return Labels(list(found.values()), len(listed), left_out)


def _rows(annotations: Path, content: object, key: str) -> list[Mapping[str, Any]]:
    rows = content.get(key) if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        held = (
            f"its keys are {', '.join(map(repr, content)) or 'none'}"
            if isinstance(content, dict)
            else "it is no JSON object"
        )
        raise PhotographsError(
            f"{annotations}: not a COCO instances file: it has no list of objects in {key!r}; {held}"
        )
    return rows


def _optional_rows(content: Mapping[str, object], key: str) -> list[Mapping[str, Any]]:
    rows = content.get(key)
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _categories(
    annotations: Path, rows: list[Mapping[str, object]]
) -> tuple[dict[str | None, str], dict[str, str | None]]:
    names: dict[str | None, str] = {}
    sorts: dict[str, str | None] = {}
    for row in rows:
        name, sort = row.get("name"), row.get("supercategory")
        if not isinstance(name, str) or not name.strip() or _id(row.get("id")) is None:
            raise PhotographsError(f"{annotations}: categories: {dict(row)!r} lacks an id or a name")
        if names.get(_id(row["id"]), name.strip().casefold()) != name.strip().casefold():
            raise PhotographsError(
                f"{annotations}: categories: the id {row['id']!r} stands for {names[_id(row['id'])]!r} and for {name.strip()!r}; give each "
                "an id of its own"
            )
        names[_id(row["id"])] = name.strip().casefold()
        # What tools without such a tree write for it.
        sorts[name.strip().casefold()] = sort if isinstance(sort, str) and sort.casefold() not in ("", "none") else None
    return names, sorts


def _id(value: object) -> str | None:
    """An id as text: 7, 7.0 and "7" are one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return str(value).strip() or None


def _file(named: object, images: Path) -> Path | None:
    """The picture below ``images`` that a ``file_name`` means: the longest end of it that leads to a file."""
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


def _alike(sorts: Mapping[str, str | None]) -> dict[str, frozenset[str]]:
    """The other names of each name's supercategory; a file of one's own may have none."""
    return {
        name: frozenset(other for other, its in sorts.items() if its == sort and other != name)
        for name, sort in sorts.items()
        if sort is not None
    }
