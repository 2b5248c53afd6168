"""Files at URLs that fsspec opens, such as ``s3://bucket/folder``: they appear whole, and every fault is explained."""

from __future__ import annotations

import errno
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, cast

import fsspec
import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem

from stablellava_assets.inputs.explained import ExplainedError, system_message

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_BUCKETS = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az")
"""Stores without folders. Creating one would create the bucket, which a mistyped name must not."""
_PART_BYTES = 8 << 20
"""Bytes of a part of an upload, which are in memory. S3 takes 10,000 parts, so a file may have 80 GB."""
_EXTRAS = {"s3": "s3", "s3a": "s3"}
"""Extras of this project by the protocols that they are for."""
_CREDENTIALS = re.compile(r"(?<=://)[^@]*:.*@")
"""User and password of a URL, which is malformed where the password holds a slash, as keys of AWS may."""


class PlaceError(ExplainedError, RuntimeError):
    """A folder or URL cannot be reached, read or written; the message names it and the remedy."""


def has_credentials(location: str) -> bool:
    """Whether a URL holds a password."""
    return _CREDENTIALS.search(location) is not None


def filesystem_of(location: str, setting: str, error: type[PlaceError] = PlaceError) -> tuple[AbstractFileSystem, str]:
    """The file system of a folder or URL, and the path in it.

    Raises:
        PlaceError: the scheme is unknown, or a package is missing; ``setting`` is named.
    """
    scheme = location.partition("://")[0]
    shown = _CREDENTIALS.sub("", location)
    try:
        fs, root = fsspec.core.url_to_fs(location)
    except ImportError as missing:
        extra = _EXTRAS.get(scheme)
        told = f"{missing}" if extra is None else f"pip install 'stablellava-assets[{extra}]'"
        raise error(f"{setting}: {shown} cannot be opened, because a package is not installed: {told}") from missing
    except ValueError as unknown:
        raise error(
            f"{setting}: {shown} cannot be opened ({unknown}); name a folder, or a URL that fsspec opens, such as "
            "s3://bucket/folder"
        ) from unknown
    return fs, str(root)


class RemoteFiles:
    """What is needed of a store besides reading.

    Args:
        fs: the file system of the store.
        setting: the setting that names the store, for error messages.
        error: what is raised when it cannot be reached.
    """

    def __init__(self, fs: AbstractFileSystem, setting: str, error: type[PlaceError] = PlaceError) -> None:
        self._fs = fs
        self._setting = setting
        self._error = error

    def url(self, path: str) -> str:
        """A path with its scheme."""
        return str(self._fs.unstrip_protocol(path))

    @contextmanager
    def reaching(self, path: str) -> Iterator[None]:
        """Explain errors of the store's library that are not system errors, such as missing keys or no network.

        Raises:
            PlaceError: the store cannot be reached.
        """
        try:
            yield
        except (OSError, pa.ArrowException, ExplainedError):
            raise
        except Exception as error:
            raise self._error(
                f"{self._setting}: {self.url(path)} cannot be reached ({_on_one_line(error)}); check address, keys and "
                "network"
            ) from error

    def check(self, root: str) -> None:
        """Write a small file and delete it, to learn before any work starts that results can be stored.

        Raises:
            PlaceError: it cannot be written; the message says why.
        """
        path = f"{root}/.writable-{uuid.uuid4().hex}"
        try:
            with self.reaching(root):
                self.make_folder_of(path)
                self._fs.pipe_file(path, b"can this be written?")
                self._fs.rm_file(path)
        except OSError as error:
            if isinstance(error, FileNotFoundError | PermissionError):
                # Some stores say of a bucket that does not exist only that nobody may write to it.
                with suppress(OSError):
                    self.listed(root)
            raise self._error(
                f"{self._setting}: {self.url(root)} cannot be written ({_on_one_line(error)}); {_remedy(error)}"
            ) from error

    def listed(self, top: str) -> dict[str, dict[str, object]]:
        """All files below a folder by path, with what the store says of each, from a single listing.

        Raises:
            PlaceError: there is no such bucket.
            OSError: they cannot be listed.
        """
        # A store that others write to.
        self._fs.invalidate_cache()
        try:
            found: dict[str, dict[str, object]] = self._fs.find(top, detail=True)
        except FileNotFoundError as error:
            answer = getattr(error.__cause__, "response", {})
            if answer.get("Error", {}).get("Code") != "NoSuchBucket":
                return {}
            raise self._error(
                f"{self._setting}: {self.url(top)}: the bucket does not exist; correct its name, or create it"
            ) from error
        return found

    def make_folder_of(self, path: str) -> None:
        """Create the folder of a file, in stores that have folders."""
        protocols = (self._fs.protocol,) if isinstance(self._fs.protocol, str) else self._fs.protocol
        if not set(_BUCKETS) & set(protocols):
            self._fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)

    @contextmanager
    def uploading(self, path: str) -> Iterator[IO[bytes]]:
        """A file that appears when the block ends without an error; whatever interrupts it leaves what was there.

        Raises:
            PlaceError: the store cannot be reached.
            OSError: the store refuses it.
        """
        with self.reaching(path):
            self.make_folder_of(path)
            # Leaving the context of the file itself would complete it, also after an exception.
            file: Any = self._fs.open(path, "wb", block_size=_PART_BYTES, autocommit=False)
        try:
            yield cast("IO[bytes]", _Upload(file, lambda: self.reaching(path)))
            with self.reaching(path):
                file.close()
                file.commit()
        except BaseException:
            # Deleting an open file would begin another upload.
            file.closed = True
            file.discard()
            raise


class _Upload:
    """A file that is written, whose own errors are explained, and not those of what is written to it."""

    def __init__(self, file: Any, explained: Callable[[], AbstractContextManager[None]]) -> None:
        self._file = file
        self._explained = explained

    def write(self, content: bytes) -> int:
        with self._explained():
            return int(self._file.write(content))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def is_local(fs: AbstractFileSystem) -> bool:
    """Whether a file system is this machine's own."""
    return isinstance(fs, LocalFileSystem)


def _remedy(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "check the keys in the environment, and what they may do"
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or "full" in str(error).lower():
        return "make room there"
    return "fix that, or name another place"


def _on_one_line(error: Exception) -> str:
    told = system_message(error) if isinstance(error, OSError) else " ".join(str(error).split())
    return told.rstrip(".") or type(error).__name__
