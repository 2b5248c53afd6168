"""Reads StableLLaVA's published JSON files: one list of rows ``{"id", "image", "prompt",
"question", "answer"}`` per ability."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from stablellava_assets.abilities.prompt_format import parse_prompt
from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.inputs.folders import files_of
from stablellava_assets.inputs.text_files import TextFileError, can_be_written, json_value
from stablellava_assets.text.conversations import IMAGE_MARK

FIELDS = ("id", "image", "prompt", "question", "answer")
_FILES_IN_MEMORY = 4


class ReleasedDataError(ExplainedError, ValueError):
    """A published file cannot be used; the message names it and the remedy."""


def released_files(folder: Path) -> list[Path]:
    """The JSON files of ``folder``, by name.

    Raises:
        ReleasedDataError: the folder does not exist or holds no such file.
    """
    try:
        if not folder.is_dir():
            raise ReleasedDataError(f"{folder}: no such folder; download StableLLaVA's JSON files into it")
        paths = files_of(folder, ".json")
    except OSError as error:
        raise ReleasedDataError(f"{folder}: cannot be listed ({error.strerror}); see to its permissions") from error
    if not paths:
        raise ReleasedDataError(f"{folder}: holds no *.json; download StableLLaVA's JSON files into it")
    return paths


def read_released(path: Path) -> Sequence[Any]:
    """The rows of a file, in its order, unchecked. The most recent files stay in memory until they change on disk.

    Raises:
        ReleasedDataError: the file is missing, is not UTF-8 JSON, or is not a list.
    """
    try:
        stat = path.stat()
    except FileNotFoundError:
        present = ", ".join(found.name for found in released_files(path.parent))
        raise ReleasedDataError(
            f"{path}: no such file, so {path.stem!r} has no released data; select other abilities or add the file "
            f"(the folder has {present})"
        ) from None
    except OSError as error:
        raise ReleasedDataError(f"{path}: cannot be read ({error.strerror}); see to its permissions") from error
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=_FILES_IN_MEMORY)
def _read(path: Path, modified_ns: int, size: int) -> Sequence[Any]:
    try:
        rows = json_value(path)
    except TextFileError as error:
        remedy = "download the file again, or fix that line" if "not JSON" in str(error) else "fix that"
        raise ReleasedDataError(f"{path}: cannot be read as JSON: {error.in_file}; {remedy}") from error
    if not isinstance(rows, list):
        raise ReleasedDataError(f"{path}: holds a {type(rows).__name__}, not a list of rows; download the file again")
    if not rows:
        raise ReleasedDataError(f"{path}: lists no rows; download the file again, or move it away")
    return rows


def is_written_out(row: object) -> bool:
    """Whether a row has every field, with text in it."""
    return isinstance(row, dict) and all(isinstance(row.get(field), str) for field in FIELDS)


def problem_of(row: object) -> str | None:
    """Why a row cannot become a pair; None if it can. Quality is left to the filters."""
    if not isinstance(row, dict):
        return f"the row is a {type(row).__name__}, not an object with {', '.join(FIELDS)}"
    for field in FIELDS:
        if field not in row:
            return f"the row has no {field!r}"
        if not isinstance(row[field], str):
            return f"{field!r} is a {type(row[field]).__name__}, not text"
        if not can_be_written(row[field]):
            return f"{field!r} holds half of a character"
    if not parse_prompt(row["prompt"]).subject:
        return f"the prompt {row['prompt']!r} names no subject"
    marks = row["question"].count(IMAGE_MARK)
    if marks != 1:
        return f"the question holds {marks} {IMAGE_MARK} marks, not one"
    return None
