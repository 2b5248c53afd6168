"""Images of published benchmarks: each is read, decoded and hashed once, however many rows refer to it."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

from stablellava_assets.endpoint.replies.picture_encoding import picture_bytes
from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.pictures.decoding import UndecodablePictureError, upright


class SuiteError(ExplainedError, ValueError):
    """A benchmark's file cannot be used; the message names file, row and reason."""


@dataclass(frozen=True)
class Picture:
    """An encoded image, given by its bytes or by what reads them."""

    read: bytes | Callable[[], bytes]

    @property
    def encoded(self) -> bytes:
        """Its bytes."""
        return self.read() if callable(self.read) else self.read

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of its bytes."""
        return hashlib.sha256(self.encoded).hexdigest()


class Pictures:
    """The images read so far, by location; all rows about an image share its bytes."""

    def __init__(self) -> None:
        self._known: dict[Path | str, Picture] = {}
        self._copies: IO[bytes] | None = None

    def in_file(self, path: Path, where: str) -> Picture:
        """The image in a file.

        Raises:
            SuiteError: it does not exist, or cannot be decoded; ``where`` names the row that refers to it.
        """
        if path not in self._known:
            try:
                encoded = path.read_bytes()
            except OSError as error:
                raise SuiteError(f"{where}: no picture {path} ({error.strerror}); see images in the profile") from error
            except ValueError as error:
                raise SuiteError(f"{where}: {str(path)!r} is no name of a picture's file") from error
            self._known[path] = _checked(encoded, f"{where}: picture {path}")
        return self._known[path]

    def in_base64(self, text: str, where: str) -> Picture:
        """The image in a base64 cell.

        Raises:
            SuiteError: it cannot be decoded; ``where`` names the row.
        """
        if text not in self._known:
            try:
                encoded = picture_bytes(text)
            except ValueError as error:
                raise SuiteError(f"{where}: image: is not base64: {error}") from error
            self._known[text] = _checked(encoded, f"{where}: image:")
        return self._known[text]

    def copied(self, encoded: bytes, where: str) -> Picture:
        """An image of a file with gigabytes of them: it is copied to a temporary file, which the system removes.

        Raises:
            SuiteError: it cannot be decoded; ``where`` names the row.
        """
        _checked(encoded, where)
        # Open as long as its images are.
        copies = self._copies = self._copies or tempfile.TemporaryFile()  # noqa: SIM115
        start, size = copies.seek(0, io.SEEK_END), len(encoded)
        copies.write(encoded)

        def read() -> bytes:
            copies.seek(start)
            return copies.read(size)

        return Picture(read)


def _checked(encoded: bytes, what: str) -> Picture:
    try:
        upright(encoded)
    except UndecodablePictureError as error:
        raise SuiteError(f"{what} cannot be decoded: {error}") from error
    return Picture(encoded)
