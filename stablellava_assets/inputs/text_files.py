"""Reads text files supplied by users, whatever program saved them."""

from __future__ import annotations

import codecs
import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stablellava_assets.inputs.explained import ExplainedError, system_message

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    # Before UTF-16, whose byte order mark is a prefix of this one.
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NAMES = {"utf-8": "UTF-8", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "utf-32-le": "UTF-32", "utf-32-be": "UTF-32"}
_KINDS = (
    (b"\x1f\x8b", "a file packed by gzip; unpack it"),
    (b"PK\x03\x04", "a ZIP archive, or a table of Excel; unpack it, or save it as text"),
    (b"BZh", "a file packed by bzip2; unpack it"),
    (b"\xfd7zXZ", "a file packed by xz; unpack it"),
    (b"\x28\xb5\x2f\xfd", "a file packed by zstd; unpack it"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it"),
    (b"PAR1", "a Parquet table; save it as text"),
    (b"ARROW1", "an Arrow table; save it as text"),
    (b"SQLite format 3", "an SQLite database; save its table as text"),
)
"""Magic numbers of other file types, and the remedy for each."""
_POINTER = b"version https://git-lfs.github.com/spec/"
_HEAD = 4096
_LONGEST_CELL = 2**31 - 1


class TextFileError(ExplainedError, ValueError):
    """A file cannot be read as text, or lacks the expected contents; the message names file, line and remedy."""

    def __init__(self, name: str, reason: str, line: int | None = None) -> None:
        super().__init__(f"{name}:{line}: {reason}" if line is not None else f"{name}: {reason}")
        self.in_file = f"line {line}: {reason}" if line is not None else reason
        """The message without the file name, for errors that already name it."""


def read_text(path: Path) -> str:
    """The text of a file: UTF-8 with or without a byte order mark, or UTF-16 or UTF-32 with one.

    Line ends are unchanged.

    Raises:
        TextFileError: it cannot be read, is not text, or has an unknown encoding.
    """
    return decode_text(read_bytes(path), str(path))


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        TextFileError: it does not exist, is a folder, or is not readable.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise TextFileError(str(path), f"cannot be read ({error.strerror or system_message(error)})") from error
    except ValueError as error:  # A byte of zero, or half of a character.
        raise TextFileError(repr(str(path)), "is no name of a file") from error


def decode_text(content: bytes, name: str) -> str:
    """Like :func:`read_text`, for bytes; ``name`` is used in errors."""
    if kind := next((kind for mark, kind in _KINDS if content.startswith(mark)), None):
        raise TextFileError(name, f"is not text but {kind}", 1)
    if content.startswith(_POINTER):
        raise TextFileError(name, "is what Git LFS keeps in a file's place; fetch the file itself (git lfs pull)", 1)
    mark, encoding = next(((mark, named) for mark, named in _MARKS if content.startswith(mark)), (b"", "utf-8"))
    body = content[len(mark) :]
    if encoding == "utf-8" and b"\0" in body[:_HEAD]:
        even, odd = body[:_HEAD:2].count(0), body[1:_HEAD:2].count(0)
        like = (
            "UTF-16 without a byte order mark; save it as UTF-8" if max(even, odd) > 10 * min(even, odd) + 1 else None
        )
        raise TextFileError(name, "is not text: it holds bytes of zero" + (f", as {like}" if like else ""), 1)
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        line = body[: error.start].decode(encoding, "replace").count("\n") + 1
        found = body[error.start : error.start + 1].hex().upper()
        guess = ", perhaps in Windows-1252 or Latin-1" if encoding == "utf-8" and _could_be_latin(body) else ""
        raise TextFileError(
            name,
            f"is not {_NAMES[encoding]} (byte 0x{found} at byte {error.start + len(mark)} of the file{guess}); "
            "save it as UTF-8",
            line,
        ) from error


def _could_be_latin(body: bytes) -> bool:
    """Whether the bytes look like letters and symbols in an old Western encoding."""
    controls = sum(byte < 32 and byte not in (9, 10, 12, 13) for byte in body[:_HEAD])
    return controls == 0


def can_be_written(text: str) -> bool:
    """Whether a text can be encoded: JSON can escape half of a surrogate pair, but no encoding can represent it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True)
class JsonEntry:
    """A value of a file of JSON values, and its first line; ``mistake`` says why if it is not valid JSON."""

    line: int
    value: object = None
    mistake: str | None = None


def json_value(path: Path) -> Any:
    """The single JSON value in a file.

    Raises:
        TextFileError: it cannot be read, or is not valid JSON; the line is named.
    """
    return json_value_of(read_text(path), str(path))


def json_value_of(text: str, name: str) -> Any:
    """Like :func:`json_value`, for a text; ``name`` is used in errors."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise TextFileError(name, f"not JSON: {error.msg} at column {error.colno}", error.lineno) from error
    except (RecursionError, ValueError) as error:
        raise TextFileError(name, f"not JSON: {unreadable_json(error)}", 1) from error


def unreadable_json(error: Exception) -> str:
    """Why Python cannot parse text that may be valid JSON: any exception except ``JSONDecodeError``."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return f"a number has more than {sys.get_int_max_str_digits()} digits"


def json_lines(text: str) -> Iterator[JsonEntry]:
    """One entry per non-blank line. U+2028 and similar characters do not end a line, because
    they may occur in JSON strings."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield JsonEntry(number, json.loads(line))
            except json.JSONDecodeError as error:
                yield JsonEntry(number, line.rstrip("\r"), f"{error.msg} at column {error.colno}")
            except (RecursionError, ValueError) as error:
                yield JsonEntry(number, line.rstrip("\r"), unreadable_json(error))


def json_values(path: Path) -> list[JsonEntry]:
    """The rows of a file: a JSON array, or one value per line; the entry of an invalid line describes the mistake.

    Raises:
        TextFileError: the file cannot be read, or is neither an array nor has an object on any line.
    """
    text = read_text(path)
    if text.lstrip().startswith("["):
        values = json_value_of(text, str(path))
        return [JsonEntry(1, value) for value in values]
    lines = list(json_lines(text))
    if lines and not any(isinstance(line.value, dict) for line in lines):
        if (keys := _keys_of_one_object(text)) is not None:
            reason = f"is one JSON object over several lines, not an array or an object a line; its keys are {keys}"
            raise TextFileError(str(path), reason, 1)
        mistake = lines[0].mistake
        reason = "not a JSON object" if mistake is None else f"not JSON: {mistake}"
        raise TextFileError(str(path), reason, lines[0].line)
    return lines


def _keys_of_one_object(text: str) -> str | None:
    try:
        value = json.loads(text)
    except (RecursionError, ValueError):
        return None
    return (", ".join(map(repr, list(value)[:10])) or "none") if isinstance(value, dict) else None


@dataclass(frozen=True)
class CsvRow:
    """The cells of a row, and its first line."""

    line: int
    cells: list[str]


def csv_rows(text: str, name: str, delimiter: str = ",") -> Iterator[CsvRow]:
    """All rows of a table as text, including header and blank ones, parsed strictly.

    Raises:
        TextFileError: a quote is never closed, or is followed by text; ``name`` and the line are named.
    """
    # The csv module has one global limit, and a base64 image is a long cell.
    csv.field_size_limit(_LONGEST_CELL)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = 1
    while True:
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            problem = "a quote is opened here and never closed" if "end of data" in str(error) else f"not CSV: {error}"
            raise TextFileError(name, f"{problem}; a quote within a cell is written twice", begins) from error
        yield CsvRow(begins, cells)
        begins = rows.line_num + 1


def header_of(cells: Sequence[str], name: str) -> list[str]:
    """The column names, stripped.

    Raises:
        TextFileError: a name is repeated.
    """
    names = [cell.strip() for cell in cells]
    if twice := next((column for column in names if column and names.count(column) > 1), None):
        raise TextFileError(name, f"the column {twice} stands twice", 1)
    return names
