"""Pictures from their bytes, or why they are none."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image


class UndecodablePictureError(ValueError):
    """Bytes that are no picture; the message says why."""


@contextmanager
def decoding() -> Iterator[None]:
    """Around opening a picture and what is done with its pixels, or with what its camera stored beside them.

    Raises:
        UndecodablePictureError: whatever Pillow raised, since there is no picture, or a damaged one.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except UnidentifiedImageError as error:
        # Pillow's own words name the place of the buffer in memory, which is another in every run.
        raise UndecodablePictureError("it is in no format that Pillow reads") from error
    except (OSError, SyntaxError, TypeError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise UndecodablePictureError(str(error)) from error


def decoded(encoded: bytes | None) -> Image.Image:
    """The whole picture, in the mode that its file has.

    Raises:
        UndecodablePictureError: there are no bytes, or they are no picture, or a damaged one.
    """
    from PIL import Image

    if not encoded:
        raise UndecodablePictureError("it is empty")
    with decoding():
        picture = Image.open(io.BytesIO(encoded))
        picture.load()
    return picture


def upright(encoded: bytes | None) -> Image.Image:
    """The whole picture in RGB, turned as its camera was held, which cameras store beside the pixels.

    Raises:
        UndecodablePictureError: as :func:`decoded`, or what is stored beside the pixels is damaged.
    """
    from PIL import ImageOps

    picture = decoded(encoded)
    with decoding():
        return ImageOps.exif_transpose(picture).convert("RGB")
