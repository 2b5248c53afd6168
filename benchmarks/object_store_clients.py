"""What the clients of an object store ask of it for the same work: s3fs as this project sets it and with its defaults,
and obstore.

All go through a proxy on loopback that counts requests and the bytes that are sent back, to moto or to the server that
``STABLELLAVA_TEST_S3`` names. A table of images is published, then one column beside the images is read, then
everything. At last an upload ends with an error in the middle: what was published before should still be there. And an
object is created on condition that there is none. Usage::

    pip install -e '.[dev,s3]' 'moto[server]' obstore
    python benchmarks/object_store_clients.py [--pictures 200]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from arguments import positive
from typing_extensions import override

sys.path.insert(0, str(Path(__file__).parents[1]))  # The parts of the tests are not installed.

from stablellava_assets.tables.remote_files import RemoteFiles, filesystem_of
from stablellava_assets_tests.fakes.object_store import KEYS, Seen, faulty, make_bucket, object_store

PICTURE_BYTES = 1_500_000
ROWS_PER_GROUP = 5
PART_BYTES = 8 << 20
# As tables/store.py sets them.
BESIDE_IMAGES, BESIDE_A_GROUP = 16 << 10, 1 << 20


class Client(ABC):
    """A way to the store; paths begin with the bucket."""

    @abstractmethod
    def opened(self, path: str, only_beside_images: bool = False) -> Any:
        """A file for Parquet to read from."""

    @abstractmethod
    def upload(self, path: str, parts: list[bytes], fails: bool = False) -> None:
        """Write a file part by part; ``fails`` raises an error before the last part, as an interrupted writer would."""

    def create(self, path: str, content: bytes) -> str:
        """What happens to a file that is there if it is created on condition that there is none."""
        return "no condition offered"

    def _write(self, file: IO[bytes], parts: list[bytes], fails: bool) -> None:
        for number, part in enumerate(parts, 1):
            if fails and number == len(parts):
                raise InterruptedError("in the middle")
            file.write(part)


class AsSet(Client):
    """s3fs in this project's hands."""

    def __init__(self) -> None:
        self._fs, _ = filesystem_of("s3://", "benchmark")
        self._files = RemoteFiles(self._fs, "benchmark")

    @override
    def opened(self, path: str, only_beside_images: bool = False) -> Any:
        fetched = BESIDE_IMAGES if only_beside_images else BESIDE_A_GROUP
        return self._fs.open(path, "rb", block_size=fetched, cache_type="readahead")

    @override
    def upload(self, path: str, parts: list[bytes], fails: bool = False) -> None:
        with self._files.uploading(path) as file:
            self._write(file, parts, fails)


class Defaults(Client):
    """s3fs as it comes."""

    def __init__(self) -> None:
        import s3fs

        self._fs = s3fs.S3FileSystem()

    @override
    def opened(self, path: str, only_beside_images: bool = False) -> Any:
        return self._fs.open(path, "rb")

    @override
    def upload(self, path: str, parts: list[bytes], fails: bool = False) -> None:
        with self._fs.open(path, "wb") as file:
            self._write(file, parts, fails)

    @override
    def create(self, path: str, content: bytes) -> str:
        try:
            self._fs.pipe_file(path, content, mode="create")
        except FileExistsError:
            return "refused"
        return "replaced"


class Obstore(Client):
    """The object_store library of Rust, by its adapter for fsspec."""

    def __init__(self) -> None:
        from obstore.fsspec import FsspecStore

        self._fs = FsspecStore(
            "s3",
            endpoint=os.environ["AWS_ENDPOINT_URL"],
            region=os.environ["AWS_DEFAULT_REGION"],
            client_options={"allow_http": True},
        )

    @override
    def opened(self, path: str, only_beside_images: bool = False) -> Any:
        return self._fs.open(path, "rb", buffer_size=BESIDE_IMAGES if only_beside_images else BESIDE_A_GROUP)

    @override
    def upload(self, path: str, parts: list[bytes], fails: bool = False) -> None:
        with self._fs.open(path, "wb", buffer_size=PART_BYTES) as file:
            self._write(file, parts, fails)

    @override
    def create(self, path: str, content: bytes) -> str:
        import obstore
        from obstore.exceptions import AlreadyExistsError

        bucket, _, key = path.partition("/")
        try:
            obstore.put(self._fs._construct_store(bucket), key, content, mode="create")
        except AlreadyExistsError:
            return "refused"
        return "replaced"


def main() -> None:
    """A table, a row per client."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pictures", type=positive, default=200)
    pictures = arguments.parse_args().pictures
    content = _table_of(pictures)
    parts = [content[start : start + PART_BYTES] for start in range(0, len(content), PART_BYTES)]
    bucket = f"clients-{uuid.uuid4().hex[:8]}"
    os.environ.update(KEYS)
    print(f"{pictures} pictures, {len(content) / 1e6:.0f} MB\n")
    print("| client | publish | one column | everything | after an error in the middle | create what exists |")
    print("|---|---|---|---|---|---|")
    with object_store() as server, faulty(server) as (address, seen):
        os.environ["AWS_ENDPOINT_URL"] = address
        make_bucket(server, bucket)
        for name, make in {
            "s3fs, as set": AsSet,
            "s3fs, defaults": Defaults,
            "obstore": Obstore,
        }.items():
            client: Client = make()
            path = f"{bucket}/{name.replace(' ', '-')}.parquet"
            cells = [
                _counted(seen, partial(client.upload, path, parts)),
                _counted(seen, partial(_read, client, path, ["image_id"])),
                _counted(seen, partial(_read, client, path, None)),
                _after_an_error(client, path, parts),
                client.create(path, b"another"),
            ]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _counted(seen: Seen, work: Callable[[], None]) -> str:
    seen.clear()
    started = time.monotonic()
    work()
    seconds = time.monotonic() - started
    asked = ", ".join(f"{count} {operation}" for operation, count in sorted(seen.requests.items()))
    return f"{asked}; {seen.sent / 1e6:.1f} MB back; {seconds:.1f} s"


def _read(client: Client, path: str, columns: list[str] | None) -> None:
    with pq.ParquetFile(client.opened(path, columns is not None)) as table:
        for group in range(table.num_row_groups):
            table.read_row_group(group, columns)


def _after_an_error(client: Client, path: str, parts: list[bytes]) -> str:
    with suppress(InterruptedError):
        client.upload(path, [b"half of a file", *parts[:1], b"the rest"], fails=True)
    try:
        _read(client, path, ["image_id"])
    except Exception as error:
        return f"destroyed ({type(error).__name__})"
    return "kept"


def _table_of(pictures: int) -> bytes:
    generator = np.random.default_rng(0)
    rows = pa.table(
        {
            "image_id": [f"{number:032x}" for number in range(pictures)],
            "image": [generator.bytes(PICTURE_BYTES) for _ in range(pictures)],
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, row_group_size=ROWS_PER_GROUP, compression="none")
    return bytes(sink.getvalue())


if __name__ == "__main__":
    main()
