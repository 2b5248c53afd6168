"""Helpers for Arrow data of published tables."""

from __future__ import annotations

from typing import TypeGuard, cast

import pyarrow as pa
import pyarrow.compute as pc

from stablellava_assets.tables.pair_rows import EncodedImage, PromptSpec, WrittenSpec
from stablellava_assets.tables.schemas import MADE


def texts_of(data: pa.Table, column: str) -> list[str]:
    """The values of a text column without nulls."""
    return cast("list[str]", data[column].to_pylist())


def bytes_of(image: EncodedImage | None) -> bytes | None:
    """The encoded image of a row, if it was made."""
    return None if image is None else image["bytes"]


def only_made(data: pa.Table) -> pa.Table:
    """The rows with status made."""
    return only(data, "status", MADE)


def only(data: pa.Table, column: str, text: str) -> pa.Table:
    """The rows with ``text`` in ``column``."""
    return data.filter(pc.equal(data[column], pa.scalar(text)))


def is_same(data: pa.Table, published: pa.Table | None) -> bool:
    """Whether the rows equal the published ones."""
    return published is not None and bool(data.equals(published))


def was_written(spec: PromptSpec) -> TypeGuard[WrittenSpec]:
    """Whether a prompt was made, and thus has the columns that painters and authors need."""
    return spec["status"] == MADE
