"""What a table is: columns that say what they mean, and how rows become Arrow data of them and come of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar, cast

import pyarrow as pa

IMAGE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
CONVERSATIONS = pa.list_(pa.struct([pa.field("from", pa.string()), pa.field("value", pa.string())]))
FACTS = pa.list_(pa.struct([pa.field("name", pa.string()), pa.field("value", pa.string())]))
STRINGS = pa.list_(pa.string())

RowT = TypeVar("RowT", bound=Mapping[str, object])


class Upgrade(NamedTuple):
    """A column that earlier versions kept otherwise: the columns they had instead, and what makes it of them."""

    column: str
    earlier: tuple[str, ...]
    convert: Callable[[pa.Table], pa.Array[Any]]


@dataclass(frozen=True)
class Table(Generic[RowT]):
    """A table: its columns, the column that identifies a row, and the columns whose values name a partition.

    ``row_type`` is a TypedDict of the same columns.
    """

    name: str
    row_type: type[RowT]
    description: str
    row_id: str
    partitioned_by: tuple[str, ...]
    columns: tuple[pa.Field[Any], ...]
    added: frozenset[str] = frozenset()
    """Columns that files of earlier versions lack; they are read as null there."""
    optional: frozenset[str] = frozenset()
    """Columns that a row may leave out; they are null then."""
    upgrades: tuple[Upgrade, ...] = ()
    """Columns that are made of others in files of earlier versions."""

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema, with the metadata by which Hugging Face datasets decodes the pictures."""
        return pa.schema(
            self.columns, metadata={"huggingface": json.dumps({"info": {"features": dict(self._features())}})}
        )

    @property
    def tells_faults(self) -> bool:
        """Whether its rows say whose fault it is that they were not made."""
        return "fault" in self.schema.names

    def _features(self) -> Iterator[tuple[str, Any]]:
        for column in self.columns:
            yield column.name, _feature(column.type)

    def description_of(self, column: str) -> str:
        """What ``column`` means."""
        metadata: Mapping[bytes, bytes] = self.schema.field(column).metadata or {}
        return metadata[b"description"].decode()

    def names_in_file(self, names: Sequence[str]) -> list[str]:
        """What to read of a file, whichever version wrote it, to have the columns ``names``."""
        return [
            *names,
            *(earlier for upgrade in self.upgrades if upgrade.column in names for earlier in upgrade.earlier),
        ]

    def upgraded(self, data: pa.Table, names: Sequence[str]) -> pa.Table:
        """The columns ``names`` of what was read of a file; those that no upgrade knows how to make are left out."""
        for upgrade in self.upgrades:
            if upgrade.column not in data.column_names and set(upgrade.earlier) <= set(data.column_names):
                data = data.append_column(self.schema.field(upgrade.column), upgrade.convert(data))
        for name in [name for name in names if name in self.added and name not in data.column_names]:
            data = data.append_column(self.schema.field(name), pa.nulls(data.num_rows, self.schema.field(name).type))
        return data.select([name for name in names if name in data.column_names])

    def rows(self, data: pa.Table) -> list[RowT]:
        """The rows of an Arrow table that has every column of this one."""
        return rows_of(self.row_type, data)

    def from_rows(self, rows: Sequence[RowT]) -> pa.Table:
        """Rows as an Arrow table of this schema.

        Raises:
            ValueError: a row lacks a column or has one the table does not know.
        """
        self._check(rows)
        return pa.Table.from_pylist(rows, schema=self.schema)

    def batch_from_rows(self, rows: Sequence[RowT]) -> pa.RecordBatch:
        """A few rows as one record batch, in less than half of a table's time. Raises as :meth:`from_rows` does."""
        self._check(rows)
        return pa.RecordBatch.from_pylist(rows, schema=self.schema)

    def _check(self, rows: Sequence[RowT]) -> None:
        known = set(self.schema.names)
        needed = known - self.optional
        for row in rows:
            if not needed <= row.keys() <= known:
                raise ValueError(
                    f"{self.name}: row {row.get(self.row_id)!r}: missing {sorted(needed - row.keys())}, "
                    f"unknown {sorted(row.keys() - known)}"
                )


AnyTable = Table[Any]
"""Any table, where its rows are of no account."""


def rows_of(kind: type[RowT], data: pa.Table) -> list[RowT]:
    """The rows of Arrow data that has the columns of ``kind``, a TypedDict."""
    return cast("list[RowT]", data.to_pylist())


def columns_of(kind: type[Mapping[str, object]]) -> list[str]:
    """The columns that ``kind``, a TypedDict, is a row of."""
    return list(kind.__annotations__)


def _feature(kind: pa.DataType) -> Any:
    """The Hugging Face ``datasets`` feature of an Arrow type."""
    if kind == IMAGE:
        return {"_type": "Image"}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    names = {pa.float64(): "float64", pa.bool_(): "bool"}
    return {"dtype": names.get(kind, str(kind)), "_type": "Value"}


def column(name: str, kind: pa.DataType, description: str) -> pa.Field[Any]:
    """A column and what it means."""
    return pa.field(name, kind, metadata={"description": description})
