"""What people decided about pairs, read from the files they reviewed: the last word over every rule.

A decision is a line of a CSV file (with a header) or of a JSONL file: ``pair_id``, ``decision`` (keep or reject),
``reviewer``, and a ``note`` that may be empty. Files only ever grow: where a pair is decided twice, the later line holds.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

Decision = Literal["keep", "reject"]
_MOST_MISTAKES = 20


class ReviewError(ValueError):
    """Decisions that cannot be used; the message lists ``file:line: reason``, a line each."""


def _one_line(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


_Line = Annotated[str, BeforeValidator(_one_line)]


class Review(BaseModel):
    """One decision about one pair."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pair_id: Annotated[_Line, Field(min_length=1)]
    decision: Decision
    reviewer: Annotated[_Line, Field(min_length=1)]
    note: _Line = ""


def read_reviews(paths: Iterable[Path]) -> dict[str, Review]:
    """The decisions of ``paths`` by pair id; a later line or file replaces an earlier one.

    Raises:
        ReviewError: a file is missing or neither CSV nor JSONL, or has lines that are no decisions. All are named.
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


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    """The content of a file's lines with their numbers; what is no JSON stays text, which no decision is."""
    read = {".csv": _csv_lines, ".jsonl": _json_lines}.get(path.suffix.lower())
    if read is None:
        raise ReviewError(f"{path}:1: decisions are read from .csv and .jsonl files; rename it to what it is")
    try:
        # Spreadsheets put a byte order mark before UTF-8.
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ReviewError(
            f"{path}: cannot be read ({error.strerror}); filters.reviews of the profile names it"
        ) from error
    except UnicodeDecodeError as error:
        raise ReviewError(f"{path}: is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error
    return read(text)


def _json_lines(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError:
                yield number, line


def _csv_lines(text: str) -> Iterator[tuple[int, Any]]:
    rows = csv.reader(io.StringIO(text, newline=""))
    header = [name.strip() for name in next(rows, [])]
    begins = rows.line_num + 1
    for values in rows:
        if any(value.strip() for value in values):
            # Cells beyond the header have no name, and a row that ends early lacks what follows.
            names = [*header, *(f"column {number + 1}" for number in range(len(header), len(values)))]
            yield begins, dict(zip(names, values, strict=False))
        begins = rows.line_num + 1


def _reason(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "model_type":
        return 'is not an object such as {"pair_id": "...", "decision": "keep", "reviewer": "Ada", "note": ""}'
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{key}: is none of pair_id, decision, reviewer, note"
    if problem["type"] == "missing":
        return f"{key}: is missing"
    return f"{key}: {problem['msg'][:1].lower()}{problem['msg'][1:]}, not {problem['input']!r}"
