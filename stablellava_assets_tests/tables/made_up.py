"""Rows that tests make up, perhaps with less in them, or with something else, than a table wants."""

from __future__ import annotations

from typing import Any

Row = Any


def but(row: Row, **columns: Any) -> Row:
    """A row with other values in some columns."""
    return {**row, **columns}
