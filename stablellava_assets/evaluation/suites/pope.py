"""POPE (Li et al., 2023, "Evaluating Object Hallucination in Large Vision-Language Models")."""

from __future__ import annotations

from pathlib import Path

from stablellava_assets.evaluation.settings import pope_split
from stablellava_assets.evaluation.suites.items import SuiteItem, read_text, suite_item, text_at, values_at
from stablellava_assets.evaluation.suites.pictures import Pictures, SuiteError
from stablellava_assets.inputs.text_files import json_lines

_NEEDED = ("question_id", "image", "text", "label")
_OPPOSITE = {"yes": "no", "no": "yes"}


def read_pope(
    file: Path, images: Path, name: str, instruction: str = "", pictures: Pictures | None = None
) -> list[SuiteItem]:
    """Items of a POPE file, one of ``coco_pope_{random,popular,adversarial}.json``; the ability is the split.

    The files are JSON lines: ``question_id`` (int), ``image`` (a file name of COCO val2014), ``text`` (the question),
    ``label`` (yes or no). Questions are asked verbatim, followed by ``instruction`` if there is one. ``pictures`` is
    shared with other files, such as the other splits.

    Raises:
        SuiteError: a line or an image is invalid.
    """
    pictures = Pictures() if pictures is None else pictures
    split = pope_split(file)
    items: list[SuiteItem] = []
    for entry in json_lines(read_text(file)):
        where = f"{file}:{entry.line}"
        if entry.mistake is not None:
            raise SuiteError(f"{where}: not JSON: {entry.mistake}")
        question_id, image, text, label = values_at(_NEEDED, entry.value, where)
        if not isinstance(question_id, int | str) or isinstance(question_id, bool):
            raise SuiteError(f"{where}: question_id: must be a number or text, not {question_id!r}")
        if not isinstance(label, str) or label not in _OPPOSITE:
            raise SuiteError(f"{where}: label: must be yes or no, not {label!r}")
        question = text_at("text", text, where)
        items.append(
            suite_item(
                name,
                split,
                question_id,
                kind="yes_no",
                question=f"{question}\n{instruction}" if instruction else question,
                pictures=[pictures.in_file(images / text_at("image", image, where), where)],
                accepted=[label],
                refused=[_OPPOSITE[label]],
            )
        )
    return items
