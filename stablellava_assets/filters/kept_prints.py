"""Fingerprints of benchmark files, kept by content: files are hashed, and images decoded, once."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprint
from stablellava_assets.pictures.decoding import upright
from stablellava_assets.pictures.encoding import perceptual_hash
from stablellava_assets.tables.files import publish_file
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.sqlite import open_sqlite

_VERSION = 2
"""Increase it when fingerprints are made otherwise."""
_WAIT_S = 600.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (state TEXT PRIMARY KEY, sha256 TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS images (sha256 TEXT PRIMARY KEY, perceptual_hash TEXT) WITHOUT ROWID;
"""


class KeptPrints:
    """Fingerprints in a local folder, which may be deleted at any time.

    A file counts as unchanged as long as its path, size and times are; one that was only touched or moved is hashed
    again, and nothing else.

    Args:
        folder: the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sha256_of(self, file: Path) -> str:
        """The SHA-256 of a file.

        Raises:
            OSError: it cannot be read.
        """
        status = file.stat()
        state = content_key(str(file), status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if (known := self._value("SELECT sha256 FROM files WHERE state = ?", state)) is not None:
            return known
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        self._database.execute("INSERT OR IGNORE INTO files VALUES (?, ?)", (state, digest))
        return digest

    def perceptual_hash_of(self, sha256: str, read: Callable[[], bytes]) -> str:
        """The perceptual hash of the image with this SHA-256; ``read`` gives its bytes.

        Raises:
            UndecodablePictureError: it cannot be decoded.
        """
        if (known := self._value("SELECT perceptual_hash FROM images WHERE sha256 = ?", sha256)) is not None:
            return known
        made = perceptual_hash(upright(read()))
        self._database.execute("INSERT OR IGNORE INTO images VALUES (?, ?)", (sha256, made))
        return made

    def of(
        self, name: str, determined_by: object, make: Callable[[], Iterable[BenchmarkFingerprint]]
    ) -> list[BenchmarkFingerprint]:
        """The fingerprints of one source.

        Args:
            name: the benchmark, for people who look into the folder.
            determined_by: what the fingerprints depend on, such as the SHA-256 of a file.
            make: makes them.
        """
        kept = self._folder / f"{content_key('prints', _VERSION, name, determined_by)}.json"
        if kept.exists():
            return [BenchmarkFingerprint(*each) for each in json.loads(kept.read_text(encoding="utf-8"))]
        made = list(make())
        kept.parent.mkdir(parents=True, exist_ok=True)
        publish_file(kept, json.dumps(made).encode())
        return made

    def _value(self, query: str, key: str) -> str | None:
        row = self._database.execute(query, (key,)).fetchone()
        return None if row is None else str(row[0])

    @cached_property
    def _database(self) -> sqlite3.Connection:
        return open_sqlite(self._folder / "by_content.sqlite", _SCHEMA, wait_s=_WAIT_S)
