"""Pictures made small for people to look at."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from stablellava_assets.decoding import UndecodablePictureError, decoding

if TYPE_CHECKING:
    from PIL import Image


def small_picture(encoded: bytes | None, side: int) -> Image.Image | None:
    """A picture of at most ``side`` pixels, turned as its camera was held, on white where it is transparent.

    None where there is none or it cannot be decoded.
    """
    from PIL import Image, ImageOps

    if not encoded:
        return None
    try:
        with decoding(), Image.open(io.BytesIO(encoded)) as picture:
            picture.draft("RGB", (side, side))
            upright = ImageOps.exif_transpose(picture)
            small = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
            small.thumbnail((side, side))
            return small if small.mode == "RGB" else _on_white(small)
    except UndecodablePictureError:
        return None


def _on_white(picture: Image.Image) -> Image.Image:
    from PIL import Image

    ground = Image.new("RGBA", picture.size, "#ffffff")
    return Image.alpha_composite(ground, picture).convert("RGB")
