"""Pictures beside the page, small enough for it."""

from __future__ import annotations

import io

_AS_THEY_ARE = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}


def thumbnail(encoded: bytes | None, side: int) -> tuple[bytes, str] | None:
    """A picture of at most ``side`` pixels and its file suffix; None where there is none or it cannot be decoded.

    A picture that is small enough already is not encoded again, nor even decoded.
    """
    from PIL import Image

    if not encoded:
        return None
    try:
        with Image.open(io.BytesIO(encoded)) as picture:
            if max(picture.size) <= side and picture.format in _AS_THEY_ARE:
                return encoded, _AS_THEY_ARE[picture.format]
            picture.draft("RGB", (side, side))
            small = picture.convert("RGB")
            small.thumbnail((side, side))
            buffer = io.BytesIO()
            small.save(buffer, "JPEG", quality=85)
            return buffer.getvalue(), "jpg"
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
