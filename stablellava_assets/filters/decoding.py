"""Pictures from their bytes, or why they are none."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image


class UndecodablePictureError(ValueError):
    """Bytes that are no picture; the message is Pillow's reason."""


def decoded(encoded: bytes | None) -> Image.Image:
    """The whole picture, in the mode that its file has.

    Raises:
        UndecodablePictureError: there are no bytes, or they are no picture, or a damaged one.
    """
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(encoded or b""))
        picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UndecodablePictureError(str(error)) from error
    return picture
