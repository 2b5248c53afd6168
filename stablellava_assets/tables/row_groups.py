"""Parquet files with small row groups, so that neither writing nor reading holds many images in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

MOST_BYTES = 8 << 20
"""Bytes of a row group that has more than one row. Each is one request to an object store."""
MOST_ROWS = 1024


def write_row_groups(
    tables: Iterable[pa.Table], schema: pa.Schema, file: IO[bytes], most_rows: int = MOST_ROWS
) -> None:
    """Write a Parquet file from tables of any size; no more than a row group and a table are in memory."""
    # Columns of hashes repeat nothing; a dictionary of them doubles the time of a scan.
    repeats = not all(pa.types.is_integer(field.type) for field in schema)
    with pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=repeats) as writer:
        for group in row_groups(tables, schema, most_rows):
            writer.write_table(group, row_group_size=most_rows)


def row_groups(tables: Iterable[pa.Table], schema: pa.Schema, most_rows: int = MOST_ROWS) -> Iterator[pa.Table]:
    """The rows of ``tables``, in order, in tables of at most ``MOST_BYTES`` and ``most_rows``."""
    held: list[pa.Table] = []
    size = rows = 0
    for table in tables:
        for part in _parts(table.cast(schema), most_rows):
            if held and (size + part.nbytes > MOST_BYTES or rows + part.num_rows > most_rows):
                yield pa.concat_tables(held)
                held, size, rows = [], 0, 0
            held.append(part)
            size += part.nbytes
            rows += part.num_rows
    if held:
        yield pa.concat_tables(held)


def _parts(table: pa.Table, most_rows: int) -> Iterator[pa.Table]:
    """The table in halves of halves, until each fits a row group: rows may have very different sizes."""
    if not table.num_rows:
        return
    if table.num_rows == 1 or (table.nbytes <= MOST_BYTES and table.num_rows <= most_rows):
        yield table
        return
    first = min(most_rows, -(-table.num_rows // 2))
    yield from _parts(table.slice(0, first), most_rows)
    yield from _parts(table.slice(first), most_rows)
