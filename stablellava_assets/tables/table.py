"""Tables: columns with descriptions, and conversion between typed rows and Arrow data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar, cast

import pyarrow as pa

IMAGE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
IMAGE_LIST = pa.list_(IMAGE)
CONVERSATIONS = pa.list_(pa.struct([pa.field("from", pa.string()), pa.field("value", pa.string())]))
FACTS = pa.list_(pa.struct([pa.field("name", pa.string()), pa.field("value", pa.string())]))
STRINGS = pa.list_(pa.string())

RowT = TypeVar("RowT", bound=Mapping[str, object])


class Upgrade(NamedTuple):
    """A column that earlier versions stored differently: their columns, and the conversion."""

    column: str
    earlier: tuple[str, ...]
    convert: Callable[[pa.Table], pa.Array[Any]]


@dataclass(frozen=True)
class Table(Generic[RowT]):
    """A table: its columns, its id column, and the columns by which it is partitioned.

    ``row_type`` is a TypedDict of the same columns.
    """

    name: str
    row_type: type[RowT]
    description: str
    row_id: str
    partitioned_by: tuple[str, ...]
    columns: tuple[pa.Field[Any], ...]
    added: frozenset[str] = frozenset()
    """Columns that files of earlier versions lack; they are read as null."""
    optional: frozenset[str] = frozenset()
    """Columns that a row may omit; they are stored as null."""
    earlier_partitioned_by: tuple[str, ...] | None = None
    """The first columns of ``partitioned_by``, if earlier versions partitioned by these alone; their files are read."""
    upgrades: tuple[Upgrade, ...] = ()
    """Columns that are computed from others in files of earlier versions."""
    rows_per_group: int = 1024
    """Maximum number of rows per Parquet row group."""

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema, with the metadata with which Hugging Face datasets decodes images."""
        return pa.schema(
            self.columns, metadata={"huggingface": json.dumps({"info": {"features": dict(self._features())}})}
        )

    @cached_property
    def without_images(self) -> list[str]:
        """The columns that hold no images, and are small."""
        return [column.name for column in self.columns if column.type not in (IMAGE, IMAGE_LIST)]

    @property
    def partitionings(self) -> list[tuple[str, ...]]:
        """The columns by which its files may be partitioned, those of earlier versions first."""
        earlier = self.earlier_partitioned_by
        return [self.partitioned_by] if earlier is None else [earlier, self.partitioned_by]

    @property
    def holds_images(self) -> bool:
        """Whether a column holds images."""
        return len(self.without_images) < len(self.columns)

    @property
    def tells_faults(self) -> bool:
        """Whether its rows record the cause of not being made."""
        return "fault" in self.schema.names

    def _features(self) -> Iterator[tuple[str, Any]]:
        for column in self.columns:
            yield column.name, _feature(column.type)

    def description_of(self, column: str) -> str:
        """Description of ``column``."""
        metadata: Mapping[bytes, bytes] = self.schema.field(column).metadata or {}
        return metadata[b"description"].decode()

    def names_in_file(self, names: Sequence[str]) -> list[str]:
        """The columns to read from a file, of any version, to obtain the columns ``names``."""
        return [
            *names,
            *(earlier for upgrade in self.upgrades if upgrade.column in names for earlier in upgrade.earlier),
        ]

    def upgraded(self, data: pa.Table, names: Sequence[str]) -> pa.Table:
        """The columns ``names``, from the columns read from a file; those that no upgrade can compute are left out."""
        for upgrade in self.upgrades:
            if upgrade.column not in data.column_names and set(upgrade.earlier) <= set(data.column_names):
                data = data.append_column(self.schema.field(upgrade.column), upgrade.convert(data))
        for name in [name for name in names if name in self.added and name not in data.column_names]:
            data = data.append_column(self.schema.field(name), pa.nulls(data.num_rows, self.schema.field(name).type))
        return data.select([name for name in names if name in data.column_names])

    def rows(self, data: pa.Table) -> list[RowT]:
        """The typed rows of an Arrow table that has every column of this one."""
        return rows_of(self.row_type, data)

    def from_rows(self, rows: Sequence[RowT]) -> pa.Table:
        """Rows as an Arrow table with this schema.

        Raises:
            ValueError: a row lacks a column, or has an unknown one.
        """
        self._check(rows)
        return pa.Table.from_pylist(rows, schema=self.schema)

    def batch_from_rows(self, rows: Sequence[RowT]) -> pa.RecordBatch:
        """A few rows as one record batch, in less than half the time of a table. Raises
        the errors of :meth:`from_rows`."""
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
"""A table with unspecified row type."""


def rows_of(kind: type[RowT], data: pa.Table) -> list[RowT]:
    """The rows of Arrow data that has the columns of ``kind``, a TypedDict."""
    return cast("list[RowT]", data.to_pylist())


def columns_of(kind: type[Mapping[str, object]]) -> list[str]:
    """The columns of ``kind``, a TypedDict."""
    return list(kind.__annotations__)


def _feature(kind: pa.DataType) -> Any:
    if kind == IMAGE:
        return {"_type": "Image"}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    names = {pa.float64(): "float64", pa.bool_(): "bool"}
    return {"dtype": names.get(kind, str(kind)), "_type": "Value"}


def column(name: str, kind: pa.DataType, description: str) -> pa.Field[Any]:
    """A column with its description."""
    return pa.field(name, kind, metadata={"description": description})
