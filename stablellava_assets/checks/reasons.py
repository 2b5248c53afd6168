"""The most common reasons recorded in rows, for the message of a failed gate."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from stablellava_assets.tables.findings import REJECTS
from stablellava_assets.tables.schemas import MADE, OF_BUDGET
from stablellava_assets.tables.table import AnyTable

_REASONS_NAMED = 3
_EXAMPLES = 2
_LONGEST_REASON = 200
_OF_ONE_ROW = re.compile(r"'[^']*'|\"[^\"]*\"|\b[0-9a-f]{8,}\b|\d+(?:\.\d+)?")
_NEEDED = ("status", "reason", "fault", "findings")
_TELLING = ("subject", "prompt", "question_kind", "spec_id")
"""Columns that describe a row; the first that it has is used."""


class Reason(NamedTuple):
    """Why a row was not made, or was rejected; ``rule`` is the filter rule that rejected it."""

    text: str
    rule: str | None = None

    @property
    def kind(self) -> str:
        """The reason without numbers, names and quotations, by which reasons are grouped."""
        return self.rule or _OF_ONE_ROW.sub("#", self.text)


def reasons_of(row: Mapping[str, Any]) -> list[Reason]:
    """Why a row was not made or was rejected; empty if neither. A rejected row has one reason per rule."""
    rejecting = [found for found in row.get("findings") or () if found["outcome"] == REJECTS]
    if rejecting:
        return [
            Reason(": ".join(filter(None, (each["rule"], each["explanation"]))), each["rule"]) for each in rejecting
        ]
    if row.get("status", MADE) != MADE:
        return [Reason(str(row.get("reason") or "no reason given"))]
    return []


def commonest_reasons(table: AnyTable, data: pa.Table) -> str | None:
    """The most common reasons of the rows with their counts, and two rows as examples; None if no row has a reason.

    Reasons that differ only in a number, a name or a quotation are counted together.
    """
    columns = [name for name in data.column_names if name in {table.row_id, *_NEEDED, *_TELLING}]
    reasons_by_row = [(row, reasons_of(row)) for row in data.select(columns).to_pylist()]
    blamed = [(row, reasons) for row, reasons in reasons_by_row if reasons and row.get("fault") != OF_BUDGET]
    if not blamed:
        return None
    counts: Counter[str] = Counter()
    wording: dict[str, str] = {}
    for _, reasons in blamed:
        for kind, text in {reason.kind: reason.text for reason in reasons}.items():
            counts[kind] += 1
            wording.setdefault(kind, text)
    common = [
        f"{count} {'row' if count == 1 else 'rows'}: {_short(wording[kind])}"
        for kind, count in counts.most_common(_REASONS_NAMED)
    ]
    more = [f"and {len(counts) - _REASONS_NAMED} reasons more"] if len(counts) > _REASONS_NAMED else []
    examples = ", ".join(_named(table, row) for row, _ in blamed[:_EXAMPLES])
    return f"{'; '.join([*common, *more])}; for example {examples}"


def on_one_line(text: str) -> str:
    """Text of a row as one line, without control characters that could affect a terminal."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def plain(value: object) -> str:
    """A value of a frame as text; numpy scalars look like plain numbers."""
    if isinstance(value, str | bytes | bool) or value is None:
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {plain(part)}" for key, part in value.items()) + "}"
    if isinstance(value, Sequence):
        return "(" + ", ".join(plain(part) for part in value) + ")"
    bare = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(bare, list):
        return plain(bare)
    if not isinstance(bare, float):
        return str(bare)
    return str(int(bare)) if bare.is_integer() else f"{bare:.4g}"


def _named(table: AnyTable, row: Mapping[str, object]) -> str:
    about = next((str(row[name]) for name in _TELLING if row.get(name) and name != table.row_id), None)
    return f"{str(row[table.row_id])[:12]} ({_short(about, 40)})" if about else str(row[table.row_id])[:12]


def _short(text: str, longest: int = _LONGEST_REASON) -> str:
    line = on_one_line(text)
    return line if len(line) <= longest else f"{line[: longest - 3]}..."
