"""Pictures from their bytes, or why they are none."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image


class UndecodablePictureError(ValueError):
    """Bytes that are no picture; the message says why."""


def decoded(encoded: bytes | None) -> Image.Image:
    """The whole picture, in the mode that its file has.

    Raises:
        UndecodablePictureError: there are no bytes, or they are no picture, or a damaged one.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(io.BytesIO(encoded or b""))
        picture.load()
    except UnidentifiedImageError as error:
        # Pillow's own words name the place of the buffer in memory, which is another in every run.
        raise UndecodablePictureError("it is in no format that Pillow reads" if encoded else "it is empty") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UndecodablePictureError(str(error)) from error
    return picture


def upright(encoded: bytes | None) -> Image.Image:
    """The whole picture in RGB, turned as its camera was held, which cameras store beside the pixels.

    Raises:
        UndecodablePictureError: as :func:`decoded`, or what is stored beside the pixels is damaged.
    """
    from PIL import ImageOps

    picture = decoded(encoded)
    try:
        return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, SyntaxError, TypeError, ValueError, struct.error) as error:
        raise UndecodablePictureError(str(error)) from error
