"""MM-Vet (Yu et al., 2023, "MM-Vet: Evaluating Large Multimodal Models for Integrated Capabilities")."""

from __future__ import annotations

from pathlib import Path

from stablellava_assets.evaluation.scores.scoring import CAPABILITIES
from stablellava_assets.evaluation.suites.items import SuiteItem, read_text, suite_item, text_at, values_at
from stablellava_assets.evaluation.suites.pictures import Pictures, SuiteError
from stablellava_assets.inputs.text_files import TextFileError, json_value_of

_NEEDED = ("imagename", "question", "answer", "capability")
_ALTERNATIVES = "<OR>"


def read_mmvet(file: Path, images: Path, name: str, pictures: Pictures | None = None) -> list[SuiteItem]:
    """Items of ``mm-vet.json``; the ability joins the capabilities that an item requires, as in ``ocr+math``.

    The file is one JSON object: item name (``v1_0``) -> ``imagename``, ``question``, ``answer`` (alternatives joined by
    ``<OR>``, required parts by ``<AND>``), ``capability`` (list of rec, ocr, know, gen, spat, math), and more.
    ``pictures`` is shared with other files.

    Raises:
        SuiteError: an item or an image is invalid.
    """
    pictures = Pictures() if pictures is None else pictures
    try:
        content = json_value_of(read_text(file), str(file))
    except TextFileError as error:
        raise SuiteError(str(error)) from error
    if not isinstance(content, dict):
        raise SuiteError(f"{file}: must be one JSON object, a name an item")
    items: list[SuiteItem] = []
    for number, row in content.items():
        where = f"{file}: item {number}"
        image, question, answer, capabilities = values_at(_NEEDED, row, where)
        # A numeric answer is accepted as its digits.
        is_number = isinstance(answer, int | float) and not isinstance(answer, bool) and answer == answer
        answers = [
            part.strip() for part in text_at("answer", str(answer) if is_number else answer, where).split(_ALTERNATIVES)
        ]
        if not isinstance(capabilities, list) or not capabilities:
            raise SuiteError(f"{where}: capability: must name at least one, in a list")
        items.append(
            suite_item(
                name,
                CAPABILITIES.join(sorted(text_at("capability", one, where) for one in capabilities)),
                number,
                kind="open",
                question=text_at("question", question, where),
                pictures=[pictures.in_file(images / text_at("imagename", image, where), where)],
                accepted=[part for part in answers if part] or answers,
            )
        )
    return items
