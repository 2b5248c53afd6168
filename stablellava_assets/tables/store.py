"""The Parquet store, the source of truth: one file per partition, published atomically."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from stablellava_assets.inputs.explained import is_system_error, system_message
from stablellava_assets.tables.files import whole_file
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.remote_files import PlaceError, RemoteFiles, filesystem_of, is_local
from stablellava_assets.tables.row_groups import write_row_groups
from stablellava_assets.tables.table import AnyTable

if TYPE_CHECKING:
    import duckdb

Partition = tuple[str, ...]
"""Values of a table's ``partitioned_by`` columns, in order, as in ``("animal", "0001")``."""

Explained = Callable[[], AbstractContextManager[None]]
"""A context in which errors of reading a file are raised as what its reader can do about them."""

_FILE = "part-0.parquet"
_VALUES = {
    "ability": re.compile(r"[a-z][a-z0-9_]*"),
    "batch": re.compile(r"\d{4}"),
    "checkpoint_id": re.compile(r"[0-9a-z_-]+"),
    "version": re.compile(r"[0-9a-f]{32}"),
}
"""Valid partition values. Other folder names ("batch=0001 (1)") come from sync programs and manual copies."""
_SETTING = "storage.tables"
_READ_AGAIN = 3
_BESIDE_IMAGES = 16 << 10
"""Bytes that are fetched beyond a column of a row group with images: the columns beside it, but few of an image."""
_BESIDE_A_GROUP = 1 << 20
"""Bytes that are fetched beyond a row group with images, of which parts of the file are skipped."""
_LOG = logging.getLogger(__name__)


class StoreError(PlaceError):
    """A partition cannot be read or written; the message names the file and the remedy."""


class RepublishedError(StoreError):
    """A partition was published again while it was read."""


class PartitionFile:
    """The open file of a published partition.

    Attributes:
        rows_by_group: number of rows of each row group, in order.
    """

    def __init__(self, table: AnyTable, file: pq.ParquetFile, path: str, explained: Explained) -> None:
        self._table = table
        self._file = file
        self._path = path
        self._explained = explained
        groups = file.metadata
        self.rows_by_group = [groups.row_group(number).num_rows for number in range(groups.num_row_groups)]

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows.

        Raises:
            StoreError: the file cannot be read, is damaged, or was written by another version.
        """
        names = self._names(columns)
        if not self._table.holds_images or not self.rows_by_group:
            with self._explained():
                return self._complete(
                    self._file.read(columns=self._table.names_in_file(names), use_threads=False), names
                )
        # A single chunk of images ends at 2 GiB. The columns beside the images of a row group are fetched at once.
        return pa.concat_tables(self.group(number, names) for number in range(len(self.rows_by_group)))

    def group(self, number: int, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of one row group. Raises the errors of :meth:`read`."""
        names = self._names(columns)
        in_file = self._table.names_in_file(names)
        with self._explained():
            data = self._file.read_row_group(number, columns=in_file, use_threads=False)
        return self._complete(data, names)

    def bytes_of(self, number: int, column: str) -> int:
        """The uncompressed bytes of a column, nested ones included, in one row group; none of them are read."""
        group = self._file.metadata.row_group(number)
        chunks = (group.column(index) for index in range(group.num_columns))
        return sum(
            chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.partition(".")[0] == column
        )

    def _names(self, columns: Sequence[str] | None) -> list[str]:
        return list(columns) if columns is not None else self._table.schema.names

    def _complete(self, data: pa.Table, names: Sequence[str]) -> pa.Table:
        data = self._table.upgraded(data, names)
        if missing := [name for name in names if name not in data.column_names]:
            raise StoreError(
                f"{self._path}: lacks the columns {missing}; it was written by another version. Delete it."
            )
        return data


class ParquetStore:
    """Tables under one root, as ``<root>/<table>/<column>=<value>/.../part-0.parquet``.

    Args:
        root: a folder or any URL that fsspec opens, such as ``s3://bucket/tables``.
    """

    def __init__(self, root: str) -> None:
        self._fs, self._root = filesystem_of(str(root), _SETTING, StoreError)
        self._remote = RemoteFiles(self._fs, _SETTING, StoreError)
        self._is_local = is_local(self._fs)
        self._left_out: set[str] = set()
        self._listed: dict[str, dict[str, object]] = {}

    @property
    def url(self) -> str:
        """Absolute location of the tables."""
        return str(self._fs.unstrip_protocol(self._root))

    def path(self, table: AnyTable, partition: Partition) -> str:
        """Path of a partition, which may not exist yet."""
        return "/".join([self._root, table.name, *_folders(table, partition), _FILE])

    def glob(self, table: AnyTable) -> str:
        """A pattern that matches the published files of a table, but no unfinished ones."""
        columns = (f"{column}=*" for column in table.partitioned_by)
        return "/".join([glob.escape(self._root), table.name, *columns, _FILE])

    def files(self, table: AnyTable) -> list[str]:
        """The published files of a table, in the order of their partitions.

        Raises:
            StoreError: a folder cannot be listed.
        """
        return [self.path(table, partition) for partition in self.partitions(table)]

    def partitions(self, table: AnyTable) -> list[Partition]:
        """The published partitions, sorted. Unexpected folders are skipped with a warning.

        Raises:
            StoreError: a folder cannot be listed.
        """
        found = []
        for columns in table.partitionings:
            for folders in self._folders_with_rows(table, len(columns)):
                values = [folder.partition("=")[::2] for folder in folders]
                named = [_VALUES[column].fullmatch(value) for column, value in values if column in _VALUES]
                if tuple(column for column, _ in values) == columns and all(named):
                    found.append(tuple(value for _, value in values))
                else:
                    self._leave_out("/".join([self._root, table.name, *folders]), "which no partition is called")
        return sorted(found)

    def check(self) -> None:
        """Find out before any work starts whether a remote store can be written.

        Raises:
            StoreError: it cannot be; the message says why.
        """
        if not self._is_local:
            self._remote.check(self._root)

    def _reaching(self, path: str) -> AbstractContextManager[None]:
        """Explain errors of a remote store's library that are not system errors."""
        return nullcontext() if self._is_local else self._remote.reaching(path)

    def _folders_with_rows(self, table: AnyTable, depth: int) -> list[tuple[str, ...]]:
        """The names of a table's subfolders, ``depth`` below each other, that hold rows."""
        top = f"{self._root}/{table.name}"
        try:
            with self._reaching(top):
                paths = self._local_files(top, depth) if self._is_local else self._remote_files(top)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(
                f"{top}: cannot be listed ({system_message(error)}); it may hold good rows, so fix that and try again"
            ) from error
        below = [path.split("/") for path in paths]
        parts = [each for each in below if len(each) == depth + 1 and each[-1].endswith(".parquet")]
        for each in parts:
            if each[-1] != _FILE and not each[-1].startswith("."):
                self._leave_out("/".join([top, *each]), f"where only {_FILE} is read")
        return [tuple(each[:-1]) for each in parts if each[-1] == _FILE]

    def _remote_files(self, top: str) -> list[str]:
        self._listed = self._remote.listed(top)
        return [path.removeprefix(f"{top}/") for path in self._listed]

    @staticmethod
    def _local_files(top: str, depth: int) -> list[str]:
        """Files ``depth`` folders below ``top``; folders may be links."""
        folders = [""]
        for _ in range(depth):
            folders = [
                f"{folder}{entry.name}/"
                for folder in folders
                for entry in os.scandir(f"{top}/{folder}")
                if "=" in entry.name and entry.is_dir()
            ]
        return [f"{folder}{entry.name}" for folder in folders for entry in os.scandir(f"{top}/{folder}")]

    def _leave_out(self, path: str, why: str) -> None:
        if path not in self._left_out:
            self._left_out.add(path)
            _LOG.warning("%s is left out: it is a copy that a sync program or somebody made, %s; delete it", path, why)

    def let_duckdb_read(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make :meth:`readable_name` readable in ``connection``, also for remote tables."""
        if not self._is_local:
            connection.register_filesystem(self._fs)

    def readable_name(self, table: AnyTable, partition: Partition) -> str:
        """The file of a partition as DuckDB names it."""
        path = self.path(table, partition)
        return path if self._is_local else str(self._fs.unstrip_protocol(path))

    def holds(self, table: AnyTable, partition: Partition) -> bool:
        """Whether the partition is published."""
        return bool(self._fs.exists(self.path(table, partition)))

    def version(self, table: AnyTable, partition: Partition) -> str:
        """A token that changes whenever the partition is published."""
        return str(self._fs.ukey(self.path(table, partition)))

    def versions(self, table: AnyTable) -> dict[Partition, str]:
        """A token of each published partition that changes whenever it is published, from a single listing of a remote
        store. It is not that of :meth:`version`.

        Raises:
            StoreError: a folder cannot be listed.
        """
        partitions = self.partitions(table)
        if self._is_local:
            return {partition: self.version(table, partition) for partition in partitions}
        described = {partition: self._listed.get(self.path(table, partition)) for partition in partitions}
        return {
            partition: content_key(sorted((name, str(value)) for name, value in file.items()))
            for partition, file in described.items()
            if file is not None
        }

    def read(self, table: AnyTable, partition: Partition, columns: Sequence[str] | None = None) -> pa.Table | None:
        """The rows of a partition; None if it is not published.

        Raises:
            StoreError: the file exists but cannot be read, is damaged, or has another schema.
        """
        for last in [*[False] * _READ_AGAIN, True]:
            try:
                with self.open(table, partition, columns) as file:
                    return file.read(columns)
            except FileNotFoundError:
                return None
            except RepublishedError:
                if last:
                    raise
                self._fs.invalidate_cache()
        raise AssertionError("unreachable")

    @contextmanager
    def open(
        self, table: AnyTable, partition: Partition, columns: Sequence[str] | None = None
    ) -> Iterator[PartitionFile]:
        """A published partition, of which any part can be read; ``columns`` are those that will be.

        Raises:
            FileNotFoundError: it is not published.
            StoreError: the file exists but cannot be read, or is damaged.
        """
        path = self.path(table, partition)

        def explained() -> AbstractContextManager[None]:
            return self._explained(table, partition, path)

        with ExitStack() as opened:
            with explained():
                file = opened.enter_context(self._fs.open(path, "rb", **self._fetched_for(table, columns)))
                # Arrow's threads must not hold buffers of a Python file when the interpreter exits, because
                # releasing them then aborts the process. So neither columns nor bytes are read by threads.
                parquet = pq.ParquetFile(file, pre_buffer=False)
            yield PartitionFile(table, parquet, path, explained)

    def _fetched_for(self, table: AnyTable, columns: Sequence[str] | None) -> dict[str, object]:
        """How much of a remote file is fetched beyond what is read: little of a file with images, of which parts are
        skipped, else much."""
        if self._is_local or not table.holds_images:
            return {}
        skips_images = set(table.schema.names if columns is None else columns) <= set(table.without_images)
        return {"block_size": _BESIDE_IMAGES if skips_images else _BESIDE_A_GROUP, "cache_type": "readahead"}

    @contextmanager
    def _explained(self, table: AnyTable, partition: Partition, path: str) -> Iterator[None]:
        """Raise errors of reading a partition as a ``StoreError`` that says what to do."""
        try:
            with self._reaching(path):
                yield
        except FileNotFoundError:
            raise
        except (pa.ArrowInvalid, OSError) as error:
            # s3fs reads one version of an object, and says so once there is another.
            if type(error).__name__ == "FileExpired":
                raise RepublishedError(f"{path}: was published again while it was read; run again") from error
            if isinstance(error, OSError) and is_system_error(error):
                raise StoreError(
                    f"{path}: cannot be read ({error.strerror or system_message(error)}). Its rows may be good, so fix "
                    "that and try again."
                ) from error
            raise StoreError(
                f"{path}: damaged Parquet file ({error}). Delete it and materialize {table.name} "
                f"for partition {'|'.join(partition) or '(whole table)'} again."
            ) from error

    def read_all(
        self, table: AnyTable, partitions: Iterable[Partition] | None = None, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """The rows of the given partitions (all published ones unless given), in their order."""
        chosen = self.partitions(table) if partitions is None else list(partitions)
        read = [data for data in (self.read(table, partition, columns) for partition in chosen) if data is not None]
        schema = table.schema if columns is None else pa.schema([table.schema.field(name) for name in columns])
        return pa.concat_tables(read) if read else schema.empty_table()

    def publish(self, table: AnyTable, partition: Partition, data: pa.Table | Iterable[pa.Table]) -> str:
        """Write a partition atomically; readers see the old rows or the new ones. Returns the path.

        ``data`` are the rows, at once or a few at a time, in which case no more than those are in memory.

        Raises:
            StoreError: the rows could not be written (full disk, no permission); the published rows are unchanged.
        """
        path = self.path(table, partition)
        rows = [data] if isinstance(data, pa.Table) else data
        try:
            if self._is_local:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                with whole_file(Path(path)) as unfinished, unfinished.open("wb") as file:
                    write_row_groups(rows, table.schema, file, table.rows_per_group)
                    file.flush()
                    os.fsync(file.fileno())
            else:
                with self._remote.uploading(path) as file:
                    write_row_groups(rows, table.schema, file, table.rows_per_group)
        except OSError as error:
            raise StoreError(
                f"{path}: could not be written ({error.strerror or error}). What was published before is untouched; "
                "finished rows are kept and reused by the next run."
            ) from error
        return path

    def withdraw(self, table: AnyTable, partition: Partition) -> None:
        """Delete a partition, if it is published.

        Raises:
            StoreError: it could not be deleted.
        """
        path = self.path(table, partition)
        try:
            with self._reaching(path):
                self._fs.rm_file(path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(f"{path}: could not be deleted ({error.strerror or error})") from error
        if self._is_local and partition:
            with suppress(OSError):
                Path(path).parent.rmdir()


def _folders(table: AnyTable, partition: Partition) -> list[str]:
    columns = next((columns for columns in table.partitionings if len(columns) == len(partition)), None)
    if columns is None:
        raise ValueError(f"{table.name} is partitioned by {table.partitioned_by}, not {partition}")
    return [f"{column}={value}" for column, value in zip(columns, partition, strict=True)]
