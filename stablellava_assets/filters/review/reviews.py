"""Reads human review decisions about pairs, which override all rules.

A decision is a line of a CSV file (with a header) or of a JSONL file: ``pair_id``, ``decision`` (keep or reject),
``reviewer``, and an optional ``note``. Files are append-only: the last decision about a pair counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.inputs.text_files import (
    CsvRow,
    TextFileError,
    can_be_written,
    csv_rows,
    header_of,
    json_lines,
    read_text,
)

Decision = Literal["keep", "reject"]
_MOST_MISTAKES = 20
_SEPARATOR_LINE = "sep="


class ReviewError(ExplainedError, ValueError):
    """Decisions that cannot be used. The message lists one ``file:line: reason`` per line."""


def _one_line(value: object) -> Any:
    if isinstance(value, str) and not can_be_written(value):
        raise ValueError("must be text without halves of characters")
    return " ".join(value.split()) if isinstance(value, str) else value


def _lowercased(value: object) -> Any:
    """Spreadsheets and people may write Keep, or add spaces."""
    return value.strip().casefold() if isinstance(value, str) else value


_Line = Annotated[str, BeforeValidator(_one_line)]


class Review(BaseModel):
    """One decision about one pair."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pair_id: Annotated[_Line, Field(min_length=1)]
    decision: Annotated[Decision, BeforeValidator(_lowercased)]
    reviewer: Annotated[_Line, Field(min_length=1)]
    note: _Line = ""


def read_reviews(paths: Iterable[Path]) -> dict[str, Review]:
    """The decisions of ``paths`` by pair id; a later line or file replaces an earlier one.

    Raises:
        ReviewError: a file is missing or neither CSV nor JSONL, or has invalid lines. All of them are listed.
    """
    mistakes: list[str] = []
    reviews: dict[str, Review] = {}
    for path in paths:
        for line, content in _lines(path):
            try:
                review = Review.model_validate(content)
            except ValidationError as error:
                mistakes += [f"{path}:{line}: {_reason(problem)}" for problem in error.errors()]
            else:
                reviews[review.pair_id] = review
    if mistakes:
        more = len(mistakes) - _MOST_MISTAKES
        shown = [*mistakes[:_MOST_MISTAKES], *([f"and {more} more"] if more > 0 else [])]
        raise ReviewError("\n".join(shown))
    return reviews


def _lines(path: Path) -> list[tuple[int, Any]]:
    """The content of the lines of a file by line number. Invalid JSON is returned as text and fails validation."""
    read = {".csv": _csv_lines, ".jsonl": _json_lines}.get(path.suffix.lower())
    if read is None:
        raise ReviewError(f"{path}:1: decisions are read from .csv and .jsonl files; rename it to what it is")
    try:
        return list(read(read_text(path), path))
    except TextFileError as error:
        raise ReviewError(f"{error}; filters.reviews of the profile names it") from error


def _json_lines(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    return ((entry.line, entry.value) for entry in json_lines(text))


def _csv_lines(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    header: list[str] | None = None
    for row in csv_rows(text, str(path), _separator(text)):
        # The "sep=;" line that Excel writes declares the delimiter.
        if not any(cell.strip() for cell in row.cells) or (header is None and row.cells[0].startswith(_SEPARATOR_LINE)):
            continue
        if header is None:
            header = _header(row, path)
            continue
        # Cells beyond the header are kept unless they are empty; short rows lack the remaining fields.
        beyond = range(len(header), len(row.cells))
        named = [*zip(header, row.cells, strict=False), *((f"column {at + 1}", row.cells[at]) for at in beyond)]
        yield row.line, {name: cell for name, cell in named if name in Review.model_fields or cell.strip()}


def _header(row: CsvRow, path: Path) -> list[str]:
    names = [
        name.casefold() if name.casefold() in Review.model_fields else name or f"column {at}"
        for at, name in enumerate(header_of(row.cells, str(path)), 1)
    ]
    if missing := [name for name, field in Review.model_fields.items() if field.is_required() and name not in names]:
        raise ReviewError(
            f"{path}:{row.line}: the first line names the columns, and lacks {', '.join(missing)}: it holds "
            f"{', '.join(map(repr, names))}; begin the file with pair_id,decision,reviewer,note"
        )
    return names


def _separator(text: str) -> str:
    """The delimiter of the header; spreadsheets in many locales write semicolons."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    if first.startswith(_SEPARATOR_LINE):
        return "\t" if first.endswith("\t") else first.rstrip()[len(_SEPARATOR_LINE) :][:1] or ","
    return max(",;\t", key=first.count) if first.count(",") == 0 else ","


def _reason(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "model_type":
        return 'is not an object such as {"pair_id": "...", "decision": "keep", "reviewer": "Ada", "note": ""}'
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{key}: is none of pair_id, decision, reviewer, note"
    if problem["type"] == "missing":
        return f"{key}: is missing"
    return f"{key}: {problem['msg'][:1].lower()}{problem['msg'][1:]}, not {problem['input']!r}"
