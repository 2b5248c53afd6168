"""The Parquet files of a split, in the layout of Hugging Face datasets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Generic

import pyarrow.parquet as pq

from stablellava_assets.exports.selection import Picture
from stablellava_assets.tables.table import RowT, Table

_ROWS_A_GROUP = 128
_BYTES_A_GROUP = 128 * 2**20
"""Bytes of distinct images after which a row group ends before it has all its rows."""
_BYTES_A_FILE = 400 * 2**20
_BYTES_A_PAGE = 8 * 2**20


class SplitFiles(Generic[RowT]):
    """Writes ``<split>-NNNNN-of-NNNNN.parquet``; a new file is started when the last is large enough."""

    def __init__(self, folder: Path, split: str, table: Table[RowT]) -> None:
        self._folder, self._split, self._table = folder, split, table
        self._paths: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self._rows: list[RowT] = []
        self._bytes_of: dict[str, int] = {}

    def add(self, row: RowT, pictures: Sequence[Picture]) -> None:
        """Write a row that shows these images."""
        self._rows.append(row)
        self._bytes_of |= {picture.row["image_id"]: len(picture.encoded) for picture in pictures}
        if len(self._rows) == _ROWS_A_GROUP or sum(self._bytes_of.values()) > _BYTES_A_GROUP:
            self._flush()

    def close(self) -> None:
        """Finish the files, of which there is at least one."""
        if self._rows or not self._paths:
            self._flush()
        self._finish()
        for number, path in enumerate(self._paths):
            path.rename(self._folder / f"{self._split}-{number:05d}-of-{len(self._paths):05d}.parquet")

    def _flush(self) -> None:
        if self._writer is None:
            path = self._folder / f"{self._split}-{len(self._paths):05d}"
            self._paths.append(path)
            # Adjacent pairs share their image, and zstd stores it once per page.
            self._writer = pq.ParquetWriter(path, self._table.schema, compression="zstd", data_page_size=_BYTES_A_PAGE)
        self._writer.write_table(self._table.from_rows(self._rows))
        self._rows, self._bytes_of = [], {}
        if self._paths[-1].stat().st_size > _BYTES_A_FILE:
            self._finish()

    def _finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
