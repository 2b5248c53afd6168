"""Images of the gallery page, reduced in size."""

from __future__ import annotations

import io

from stablellava_assets.pictures.decoding import (
    UndecodablePictureError,
    decoding,
    orientation_in_header,
    rendered_otherwise,
)
from stablellava_assets.pictures.thumbnails import small_picture

_AS_THEY_ARE = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}


def thumbnail(encoded: bytes | None, side: int) -> tuple[bytes, str] | None:
    """An image of at most ``side`` pixels and its file suffix; None if there is none or it cannot be decoded.

    An image that is small enough, and that browsers display as models see it, is neither decoded nor encoded again.
    """
    if not encoded:
        return None
    if (suffix := _as_it_is(encoded, side)) is not None:
        return encoded, suffix
    if (small := small_picture(encoded, side)) is None:
        return None
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85)
    return buffer.getvalue(), "jpg"


def _as_it_is(encoded: bytes, side: int) -> str | None:
    """The file suffix of a small image that browsers can display unchanged; None otherwise."""
    from PIL import Image

    try:
        with decoding(), Image.open(io.BytesIO(encoded)) as picture:
            suffix = _AS_THEY_ARE.get(picture.format or "") if max(picture.size) <= side else None
            # Browsers apply the EXIF orientation, but not that in XMP.
            if suffix is not None and "exif" not in picture.info and orientation_in_header(picture) != 1:
                return None
    except UndecodablePictureError:
        return None
    return None if set(rendered_otherwise(encoded)) - {"turned"} else suffix
