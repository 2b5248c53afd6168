"""Items of published benchmarks, shared by all loaders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stablellava_assets.evaluation.kinds import AskedKind
from stablellava_assets.evaluation.suites.pictures import Picture, SuiteError
from stablellava_assets.inputs.text_files import TextFileError, can_be_written
from stablellava_assets.inputs.text_files import read_text as text_of
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.score_rows import ItemToAsk
from stablellava_assets.text.conversations import IMAGE_MARK


class SuiteItem(ItemToAsk):
    """An item of a published benchmark with its images; ``row_key`` hashes its content."""

    pictures: list[Picture]
    row_key: str


def suite_item(
    benchmark: str,
    ability: str,
    number: int | str,
    *,
    kind: AskedKind,
    question: str,
    pictures: Sequence[Picture],
    accepted: Sequence[str],
    refused: Sequence[str] = (),
    options: Sequence[str] = (),
) -> SuiteItem:
    """An item with the columns of ``ability_benchmark`` that answering and scoring use.

    ``number`` identifies the item in the benchmark's file. A question about several images has a mark for each.

    Raises:
        SuiteError: the question about one image contains an image mark.
    """
    if IMAGE_MARK in question and len(pictures) == 1:
        raise SuiteError(
            f"{benchmark}: item {number}: the question holds {IMAGE_MARK}, which stands for a picture; take it out"
        )
    asked = [kind, question, list(accepted), list(refused), list(options)]
    return {
        "item_id": content_key("suite item", benchmark, ability, number),
        "row_key": content_key("suite row", asked, *(picture.sha256 for picture in pictures)),
        "benchmark": benchmark,
        "ability": ability,
        "question_kind": kind,
        "question": question,
        "options": list(options),
        "accepted": list(accepted),
        "refused": list(refused),
        "pictures": list(pictures),
    }


def values_at(keys: Sequence[str], row: object, where: str) -> list[Any]:
    """The values of a JSON row at ``keys``.

    Raises:
        SuiteError: the row is no object, or lacks a key; ``where`` names it.
    """
    if not isinstance(row, dict):
        raise SuiteError(f"{where}: must be a JSON object")
    if missing := [key for key in keys if key not in row]:
        raise SuiteError(f"{where}: needs {', '.join(keys)}; {', '.join(map(repr, missing))} is missing")
    return [row[key] for key in keys]


def text_at(key: str, value: object, where: str) -> str:
    """Check that ``value``, at ``key`` of a row, is text.

    Raises:
        SuiteError: it is not text, or blank; ``where`` names the row.
    """
    if not isinstance(value, str) or not value.strip():
        raise SuiteError(f"{where}: {key}: must be text, not {value!r}")
    if not can_be_written(value):
        raise SuiteError(f"{where}: {key}: holds half of a character: {value!r}")
    return value


def read_text(path: Path) -> str:
    """Read a benchmark's file.

    Raises:
        SuiteError: it cannot be read.
    """
    try:
        return text_of(path)
    except TextFileError as error:
        raise SuiteError(f"{error}; see benchmark.external in the profile") from error
