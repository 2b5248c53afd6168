"""Image files of rows: decoded upright, and checked before training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stablellava_assets.pictures.decoding import UndecodablePictureError, decoding, in_rgb, orientation_in_header
from stablellava_assets.tables.pace import Pace
from stablellava_assets.tuning.pretrained.unusable import UnusableRowError

if TYPE_CHECKING:
    from PIL import Image

_SIDEWAYS = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""
_AT_ONCE = 256


def load_picture(path: str) -> Image.Image:
    """The pixels of an image, as returned by :func:`stablellava_assets.pictures.decoding.in_rgb`.

    Raises:
        ValueError: it cannot be decoded.
    """
    with _opened(path) as picture:
        return in_rgb(picture)


def picture_size(path: str) -> tuple[int, int]:
    """Width and height of :func:`load_picture`, from the file header alone.

    Raises:
        ValueError: the header cannot be read.
    """
    with _opened(path) as picture:
        width, height = picture.size
        return (height, width) if orientation_in_header(picture) in _SIDEWAYS else (width, height)


def broken_pictures(paths: Sequence[str], workers: int, report: Callable[[str], None]) -> dict[str, UnusableRowError]:
    """Reasons by path for those of ``paths`` that :func:`load_picture` cannot decode. Decoding releases the GIL."""
    broken: dict[str, UnusableRowError] = {}
    pace = Pace()
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for start in range(0, len(paths), _AT_ONCE):
            some = paths[start : start + _AT_ONCE]
            faults = zip(some, pool.map(_fault, some), strict=True)
            broken.update({path: fault for path, fault in faults if fault is not None})
            if pace.is_due():
                report(f"{start + len(some)} of {len(paths)} pictures of tuning.mix decoded")
    return broken


def _fault(path: str) -> UnusableRowError | None:
    try:
        with _opened(path) as picture:
            # The whole JPEG is still read, but decoded at an eighth of its size.
            picture.draft("RGB", (1, 1))
            in_rgb(picture)
    except UnusableRowError as error:
        return error
    return None


@contextmanager
def _opened(path: str) -> Iterator[Image.Image]:
    from PIL import Image

    try:
        with decoding(), Image.open(path) as picture:
            yield picture
    except UndecodablePictureError as error:
        raise UnusableRowError("picture cannot be decoded", f"{path}: {error}") from error
