"""POPE (Li et al., 2023, "Evaluating Object Hallucination in Large Vision-Language Models")."""

from __future__ import annotations

import json
from pathlib import Path

from stablellava_assets.evaluation.suites.items import SuiteError, read_text, suite_item
from stablellava_assets.evaluation.suites.pictures import Pictures
from stablellava_assets.tables.rows import Row

_OPPOSITE = {"yes": "no", "no": "yes"}


def read_pope(
    file: Path, images: Path, name: str, instruction: str = "", pictures: Pictures | None = None
) -> list[Row]:
    """Items of a POPE file, one of ``coco_pope_{random,popular,adversarial}.json``; the ability is the split.

    The files are JSON lines: ``question_id`` (int), ``image`` (a file name of COCO val2014), ``text`` (the question),
    ``label`` (yes or no). Questions are asked as they stand, with ``instruction`` below if there is one. ``pictures`` are
    shared with other files, such as the other splits.

    Raises:
        SuiteError: a line or a picture is at fault.
    """
    pictures = Pictures() if pictures is None else pictures
    split = file.stem.rpartition("_")[2]
    items: list[Row] = []
    for number, line in enumerate(read_text(file).splitlines(), 1):
        if not line.strip():
            continue
        where = f"{file}:{number}"
        try:
            row = json.loads(line)
            question_id, image, text, label = (row[key] for key in ("question_id", "image", "text", "label"))
        except json.JSONDecodeError as error:
            raise SuiteError(f"{where}: not JSON: {error.msg}") from error
        except (KeyError, TypeError) as error:
            raise SuiteError(f"{where}: needs question_id, image, text and label; {error} is missing") from error
        if label not in _OPPOSITE:
            raise SuiteError(f"{where}: label: must be yes or no, not {label!r}")
        items.append(
            suite_item(
                name,
                split,
                question_id,
                kind="yes_no",
                question=f"{text}\n{instruction}" if instruction else text,
                picture=pictures.in_file(images / image, where),
                accepted=[label],
                refused=[_OPPOSITE[label]],
            )
        )
    return items
