"""Places where finished things are published, besides the tables: a local folder, or a URL that fsspec opens.

In both, a file is replaced in one step, and a folder appears once it is complete. At a URL that is when its
``SHA256SUMS`` is there, which is written last and lists its files, as ``sha256sum -c`` reads it.
"""

from __future__ import annotations

import hashlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from filelock import FileLock

from stablellava_assets.inputs.explained import remedy_of, system_message
from stablellava_assets.inputs.folders import entries
from stablellava_assets.tables.files import publish_file, whole_file
from stablellava_assets.tables.remote_files import PlaceError, RemoteFiles, filesystem_of, is_local
from stablellava_assets.tables.whole_folders import whole_folder

CHECKSUMS = "SHA256SUMS"


class Place(ABC):
    """A folder or URL. Names of files and folders in it are relative, with slashes."""

    @abstractmethod
    def at(self, name: str = "") -> str:
        """Absolute path or URL of something in it."""

    @abstractmethod
    def check(self) -> None:
        """Find out whether it can be written, where that is not known before.

        Raises:
            PlaceError: it cannot be reached or written; the message says why.
        """

    @abstractmethod
    def locked(self) -> AbstractContextManager[object]:
        """Keep other processes of this machine from publishing at the same time, where that matters."""

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """Content of a file; None if it does not exist."""

    @abstractmethod
    def opened(self, name: str) -> IO[bytes]:
        """A file to read from."""

    @abstractmethod
    def written(self, name: str) -> datetime:
        """When a file was written, in local time."""

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Replace a file, unless its content is the same.

        Raises:
            OSError: it could not be written; the previous content is unchanged.
        """

    @abstractmethod
    def writing(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """A file to write to, which appears when the block ends without an error."""

    @abstractmethod
    def folder(self, name: str) -> AbstractContextManager[Path]:
        """A local folder to write into, which appears in the place when the block ends without an error."""

    @abstractmethod
    def names(self, below: str) -> list[str]:
        """Names of what is directly in a folder, sorted; empty if it does not exist."""

    @abstractmethod
    def files(self) -> list[str]:
        """All files, sorted, except hidden ones."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete a folder and its contents."""

    @abstractmethod
    def _send(self, files: Mapping[Path, str]) -> None:
        """Copy local files to names in it."""

    @abstractmethod
    def _fetch(self, files: Mapping[str, Path]) -> None:
        """Copy files to local ones."""

    def holds(self, name: str) -> bool:
        """Whether a folder was published by :meth:`put`, whole."""
        return self.read(f"{name}/{CHECKSUMS}") is not None

    def put(self, name: str, folder: Path, unchecked: Collection[str] = ()) -> None:
        """Publish a local folder: first its files, then :data:`CHECKSUMS`, which lists them.

        Args:
            name: the new folder.
            folder: the local one. If it has checksums, these are published.
            unchecked: files that may be replaced later, by :meth:`write`, and are not listed.

        Raises:
            PlaceError: it cannot be written.
        """
        sums = folder / CHECKSUMS
        listed = sums.read_text(encoding="utf-8") if sums.is_file() else checksums_of(folder, unchecked)
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != sums]
        try:
            self._send({path: _below(name, path.relative_to(folder).as_posix()) for path in files})
            self.write(_below(name, CHECKSUMS), listed.encode())
        except OSError as error:
            raise PlaceError(
                f"{self.at(name)}: could not be written ({system_message(error)}); {remedy_of(error)}, and run it again"
            ) from error

    def get(self, name: str, folder: Path, unchecked: Collection[str] = ()) -> bool:
        """Fetch a published folder, unless ``folder`` exists; returns whether there is one.

        Args:
            name: the published folder.
            folder: the local one, which appears whole.
            unchecked: files that are fetched as well if they exist, although they are not listed.

        Raises:
            PlaceError: it cannot be read, or is not what its checksums say.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if folder.exists():
                return True
            try:
                listed = self.read(f"{name}/{CHECKSUMS}")
                if listed is None:
                    return False
                lines = sorted(listed.decode().splitlines())
                with whole_folder(folder) as unfinished:
                    self._fetch(
                        {f"{name}/{each}": unfinished / each for _, _, each in (x.partition("  ") for x in lines)}
                    )
                    if sorted(checksums_of(unfinished).splitlines()) != lines:
                        raise PlaceError(
                            f"{self.at(name)}: is not what its {CHECKSUMS} says; delete it, and publish it again"
                        )
                    for other in unchecked:
                        if (content := self.read(f"{name}/{other}")) is not None:
                            (unfinished / other).write_bytes(content)
            except OSError as error:
                raise PlaceError(
                    f"{self.at(name)}: cannot be fetched ({system_message(error)}); {remedy_of(error)}"
                ) from error
        return True


def place_at(location: str | Path, setting: str) -> Place:
    """The place at a folder or URL.

    Raises:
        PlaceError: the scheme is unknown, or a package is missing; ``setting`` is named.
    """
    fs, root = filesystem_of(str(location), setting)
    if not is_local(fs):
        return _RemotePlace(fs, root, setting)
    return _LocalPlace(Path(root) if "://" in str(location) else Path(location))


class _LocalPlace(Place):
    """A folder on this machine, created on demand."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def at(self, name: str = "") -> str:
        return str(self._path / name)

    def check(self) -> None:
        """A folder tells at once when it is written to."""

    def locked(self) -> AbstractContextManager[object]:
        self._path.mkdir(parents=True, exist_ok=True)
        return FileLock(self._path / ".lock")

    def read(self, name: str) -> bytes | None:
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None

    def opened(self, name: str) -> IO[bytes]:
        return (self._path / name).open("rb")

    def written(self, name: str) -> datetime:
        return datetime.fromtimestamp((self._path / name).stat().st_mtime).astimezone()

    def write(self, name: str, content: bytes) -> None:
        publish_file(self._made(name), content)

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        with whole_file(self._made(name)) as unfinished, unfinished.open("wb") as file:
            yield file

    def folder(self, name: str) -> AbstractContextManager[Path]:
        return whole_folder(self._path / name)

    def names(self, below: str) -> list[str]:
        return [path.name for path in entries(self._path / below)]

    def files(self) -> list[str]:
        found = (path for path in self._path.rglob("*") if path.is_file())
        names = (path.relative_to(self._path) for path in found)
        return sorted(name.as_posix() for name in names if not any(part.startswith(".") for part in name.parts))

    def delete(self, name: str) -> None:
        if (self._path / name).is_dir():
            shutil.rmtree(self._path / name)

    def _send(self, files: Mapping[Path, str]) -> None:
        for path, name in files.items():
            shutil.copyfile(path, self._made(name))

    def _fetch(self, files: Mapping[str, Path]) -> None:
        for name, path in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._path / name, path)

    def _made(self, name: str) -> Path:
        path = self._path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


class _RemotePlace(Place):
    """A URL."""

    def __init__(self, fs: Any, root: str, setting: str) -> None:
        self._fs = fs
        self._root = root.rstrip("/")
        self._setting = setting
        self._remote = RemoteFiles(fs, setting)

    def at(self, name: str = "") -> str:
        return self._remote.url(self._path(name))

    def check(self) -> None:
        self._remote.check(self._root)

    def locked(self) -> AbstractContextManager[object]:
        return nullcontext()

    def read(self, name: str) -> bytes | None:
        try:
            with self._reaching(name):
                return bytes(self._fs.cat_file(self._path(name)))
        except FileNotFoundError:
            return None

    def opened(self, name: str) -> IO[bytes]:
        with self._reaching(name):
            return self._fs.open(self._path(name), "rb")  # type: ignore[no-any-return]

    def written(self, name: str) -> datetime:
        with self._reaching(name):
            found = self._fs.modified(self._path(name))
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone()  # type: ignore[no-any-return]

    def write(self, name: str, content: bytes) -> None:
        if self.read(name) == content:
            return
        with self._reaching(name):
            self._remote.make_folder_of(self._path(name))
            self._fs.pipe_file(self._path(name), content)

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        with self._reaching(name), self._remote.uploading(self._path(name)) as file:
            yield file

    @contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        with TemporaryDirectory() as made:
            path = Path(made)
            yield path
            self.put(name, path)

    def names(self, below: str) -> list[str]:
        self._fs.invalidate_cache()
        try:
            with self._reaching(below):
                found = self._fs.ls(self._path(below), detail=False)
        except FileNotFoundError:
            return []
        return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found)

    def files(self) -> list[str]:
        with self._reaching(""):
            found = (path.removeprefix(f"{self._root}/") for path in self._remote.listed(self._root))
            return sorted(name for name in found if not any(part.startswith(".") for part in name.split("/")))

    def delete(self, name: str) -> None:
        with self._reaching(name):
            self._fs.rm(self._path(name), recursive=True)

    def _send(self, files: Mapping[Path, str]) -> None:
        with self._reaching(""):
            for name in files.values():
                self._remote.make_folder_of(self._path(name))
            self._fs.put([str(path) for path in files], [self._path(name) for name in files.values()])

    def _fetch(self, files: Mapping[str, Path]) -> None:
        for path in files.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        with self._reaching(""):
            self._fs.get([self._path(name) for name in files], [str(path) for path in files.values()])

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}".rstrip("/")

    def _reaching(self, name: str) -> AbstractContextManager[None]:
        return self._remote.reaching(self._path(name))


def checksums_of(folder: Path, unchecked: Collection[str] = ()) -> str:
    """The SHA-256 of each file, a line each, as ``sha256sum`` writes them."""
    lines = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if name not in unchecked:
            with path.open("rb") as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {name}\n")
    return "".join(lines)


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
