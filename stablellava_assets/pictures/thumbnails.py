"""Images reduced in size for display."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from stablellava_assets.pictures.decoding import UndecodablePictureError, decoding, in_rgb

if TYPE_CHECKING:
    from PIL import Image


def small_picture(encoded: bytes | None, side: int) -> Image.Image | None:
    """An image of at most ``side`` pixels, as returned by :func:`stablellava_assets.pictures.decoding.in_rgb`.

    None if there is none or it cannot be decoded.
    """
    from PIL import Image

    if not encoded:
        return None
    try:
        with decoding(), Image.open(io.BytesIO(encoded)) as picture:
            picture.draft("RGB", (side, side))
            small = in_rgb(picture).copy()
            small.thumbnail((side, side))
            return small
    except UndecodablePictureError:
        return None
