"""The Parquet store: the truth of every table, a file a partition, which appears whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from stablellava_assets.tables.table import Table

Partition = tuple[str, ...]
"""Values of a table's ``partitioned_by`` columns, in their order, as in ``("animal", "0001")``."""

_FILE = "part-0.parquet"


class StoreError(RuntimeError):
    """A partition that cannot be read or written; the message names the file and what to do about it."""


class ParquetStore:
    """Tables under one root, as ``<root>/<table>/<column>=<value>/.../part-0.parquet``.

    Args:
        root: a folder or any URL that fsspec opens, such as ``s3://bucket/tables``.
    """

    def __init__(self, root: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(str(root))
        self._is_local = isinstance(self._fs, LocalFileSystem)

    @property
    def url(self) -> str:
        """Where the tables lie, from whatever folder it is asked."""
        return str(self._fs.unstrip_protocol(self._root))

    def path(self, table: Table, partition: Partition) -> str:
        """Where a partition lies or would lie."""
        return "/".join([self._root, table.name, *_folders(table, partition), _FILE])

    def glob(self, table: Table) -> str:
        """A pattern that matches the published files of a table and nothing unfinished."""
        return "/".join([self._root, table.name, *("*" for _ in table.partitioned_by), "part-*.parquet"])

    def partitions(self, table: Table) -> list[Partition]:
        """The published partitions, sorted."""
        self._fs.invalidate_cache()
        found = (path.split("/")[-1 - len(table.partitioned_by) : -1] for path in self._fs.glob(self.glob(table)))
        return sorted(tuple(folder.split("=", 1)[1] for folder in folders) for folders in found)

    def holds(self, table: Table, partition: Partition) -> bool:
        """Whether the partition was published."""
        return bool(self._fs.exists(self.path(table, partition)))

    def version(self, table: Table, partition: Partition) -> str:
        """A token that changes whenever the partition is published anew."""
        return str(self._fs.ukey(self.path(table, partition)))

    def read(self, table: Table, partition: Partition, columns: Sequence[str] | None = None) -> pa.Table | None:
        """The rows of a partition; None where it was never published.

        Raises:
            StoreError: the file is there but is damaged, or was written with another schema.
        """
        path = self.path(table, partition)
        names = list(columns) if columns is not None else table.schema.names
        try:
            with self._fs.open(path, "rb") as file:
                # Arrow's threads must not hold what was read of a Python file when the interpreter ends: letting go of it
                # then aborts the process. So neither columns nor their bytes are read by threads.
                data = pq.ParquetFile(file, pre_buffer=False).read(columns=names, use_threads=False)
        except FileNotFoundError:
            return None
        except (pa.ArrowInvalid, OSError) as error:
            raise StoreError(
                f"{path}: damaged Parquet file ({error}). Delete it and materialize {table.name} "
                f"for partition {'|'.join(partition) or '(whole table)'} again."
            ) from error
        for name in table.added.intersection(names) - set(data.column_names):
            data = data.append_column(table.schema.field(name), pa.nulls(data.num_rows, table.schema.field(name).type))
        if missing := [name for name in names if name not in data.column_names]:
            raise StoreError(f"{path}: lacks the columns {missing}; it was written by another version. Delete it.")
        return data.select(names)

    def read_all(
        self, table: Table, partitions: Iterable[Partition] | None = None, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """The rows of the given partitions (all published ones unless given), in their order."""
        chosen = self.partitions(table) if partitions is None else list(partitions)
        read = [data for data in (self.read(table, partition, columns) for partition in chosen) if data is not None]
        schema = table.schema if columns is None else pa.schema([table.schema.field(name) for name in columns])
        return pa.concat_tables(read) if read else schema.empty_table()

    def publish(self, table: Table, partition: Partition, data: pa.Table) -> str:
        """Write a partition in one move; readers see the old rows or the new ones, never a part. Returns the path.

        Raises:
            StoreError: the rows could not be written (a full disk, no permission); what was published stays.
        """
        path = self.path(table, partition)
        unfinished = f"{path.removesuffix(_FILE)}.{uuid.uuid4().hex}.tmp" if self._is_local else path
        try:
            self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            with self._fs.open(unfinished, "wb") as file:
                pq.write_table(data.cast(table.schema), file, compression="zstd", row_group_size=1024)
                if self._is_local:
                    file.flush()
                    os.fsync(file.fileno())
            if self._is_local:
                Path(unfinished).replace(path)
        except OSError as error:
            if self._is_local:
                Path(unfinished).unlink(missing_ok=True)
            raise StoreError(
                f"{path}: could not be written ({error.strerror or error}). What was published before is untouched; "
                "finished rows are kept and taken over by the next run."
            ) from error
        return path


def _folders(table: Table, partition: Partition) -> list[str]:
    if len(partition) != len(table.partitioned_by):
        raise ValueError(f"{table.name} is partitioned by {table.partitioned_by}, not {partition}")
    return [f"{column}={value}" for column, value in zip(table.partitioned_by, partition, strict=True)]
