"""Images that the profile names only so that no training pair repeats them: those of benchmarks that are scored
elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprint
from stablellava_assets.filters.kept_prints import KeptPrints
from stablellava_assets.filters.settings import AvoidedSettings
from stablellava_assets.inputs.explained import ExplainedError, system_message
from stablellava_assets.inputs.folders import files_below
from stablellava_assets.pictures.decoding import UndecodablePictureError
from stablellava_assets.tables.identity import content_key

_ROWS_AT_ONCE = 16
_SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
_PARQUET = ".parquet"


class AvoidedError(ExplainedError, ValueError):
    """Images to avoid cannot be used; the message names setting, file and reason."""


class _Image(NamedTuple):
    """An image: where it is, the SHA-256 of its bytes, what reads them, and the question about it, if any."""

    where: str
    sha256: str
    read: Callable[[], bytes]
    question: str


class AvoidedImages:
    """The images that the profile names, and the questions that stand beside them.

    Args:
        settings: the folders and files.
        kept: fingerprints that were made before.
    """

    def __init__(self, settings: Sequence[AvoidedSettings], kept: KeptPrints) -> None:
        self._settings = settings
        self._kept = kept

    def fingerprints(self) -> list[BenchmarkFingerprint]:
        """One for each image.

        Raises:
            AvoidedError: a folder, a file or an image cannot be read.
        """
        return [made for each in self._settings for path in _paths(each) for made in self._fingerprints(each, path)]

    def images(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """The images with these SHA-256, each once.

        Raises:
            AvoidedError: as above.
        """
        left = set(wanted)
        for settings in self._settings:
            for path in _paths(settings) if left else ():
                for image in self._images(settings, path):
                    if image.sha256 in left:
                        left.discard(image.sha256)
                        yield image.sha256, image.read()

    def _fingerprints(self, settings: AvoidedSettings, path: Path) -> list[BenchmarkFingerprint]:
        def made() -> Iterator[BenchmarkFingerprint]:
            for image in self._images(settings, path):
                with _explained(settings, image.where):
                    looks = self._kept.perceptual_hash_of(image.sha256, image.read)
                item = f"{settings.name} {image.where}"
                item_id = content_key("avoided", settings.name, image.where)
                yield BenchmarkFingerprint(item, image.question, image.sha256, looks, settings.name, item_id)

        if path.suffix.lower() != _PARQUET:
            return list(made())
        with _explained(settings, str(path)):
            determined_by = [settings.question, _named(settings, path), self._kept.sha256_of(path)]
            return self._kept.of(settings.name, determined_by, made)

    def _images(self, settings: AvoidedSettings, path: Path) -> Iterator[_Image]:
        if path.suffix.lower() == _PARQUET:
            yield from _images_of_parquet(settings, path)
            return
        with _explained(settings, str(path)):
            yield _Image(_named(settings, path), self._kept.sha256_of(path), path.read_bytes, "")


def _paths(settings: AvoidedSettings) -> list[Path]:
    """The files with images.

    Raises:
        AvoidedError: there are none.
    """
    there = settings.images
    with _explained(settings, str(there)):
        files = files_below(there) if there.is_dir() else [there]
        found = [file for file in files if file.suffix.lower() in {*_SUFFIXES, _PARQUET}]
    if not there.exists():
        raise _error(settings, f"there is no folder or file {there}")
    if not found:
        raise _error(settings, f"{there} holds neither images nor .parquet files")
    return found


def _named(settings: AvoidedSettings, path: Path) -> str:
    return path.relative_to(settings.images).as_posix() if path != settings.images else path.name


def _images_of_parquet(settings: AvoidedSettings, path: Path) -> Iterator[_Image]:
    """The images of a file, of which a few rows are in memory at a time."""
    with _explained(settings, str(path)):
        file = pq.ParquetFile(path)
        images = _image_columns(file.schema_arrow)
        if not images:
            raise _error(settings, f"{path} has no column of images (bytes, or structs with a field bytes)")
        asked = [settings.question] if settings.question in file.schema_arrow.names else []
        number = 0
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[*images, *asked], use_threads=False):
            for row in batch.to_pylist():
                number += 1
                question = row.get(settings.question)
                for encoded in _encoded(row[name] for name in images):
                    yield _Image(
                        f"{_named(settings, path)}: row {number}",
                        hashlib.sha256(encoded).hexdigest(),
                        partial(bytes, encoded),
                        question if isinstance(question, str) else "",
                    )


def _image_columns(schema: pa.Schema) -> list[str]:
    """Columns in the layout of Hugging Face datasets, else those of bytes."""
    layout = [field.name for field in schema if _holds_bytes(field.type)]
    return layout or [field.name for field in schema if pa.types.is_binary(field.type) or _is_large(field.type)]


def _holds_bytes(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.ListType | pa.LargeListType):
        return _holds_bytes(kind.value_type)
    return isinstance(kind, pa.StructType) and kind.get_field_index("bytes") >= 0


def _is_large(kind: pa.DataType) -> bool:
    return bool(pa.types.is_large_binary(kind))


def _encoded(cells: Any) -> Iterator[bytes]:
    for cell in cells:
        if isinstance(cell, list):
            yield from _encoded(cell)
        elif encoded := cell.get("bytes") if isinstance(cell, dict) else cell:
            yield encoded


@contextmanager
def _explained(settings: AvoidedSettings, where: str) -> Iterator[None]:
    try:
        yield
    except UndecodablePictureError as error:
        raise _error(settings, f"the image {where} cannot be decoded ({error}); take it out") from error
    except pa.ArrowInvalid as error:
        raise _error(settings, f"{where} cannot be read as Parquet ({error}); download it again") from error
    except OSError as error:
        raise _error(settings, f"{where} cannot be read ({system_message(error)})") from error


def _error(settings: AvoidedSettings, reason: str) -> AvoidedError:
    return AvoidedError(f"filters.avoid, {settings.name}: {reason}")
