"""Encoding and perceptual hashing of finished images."""

from __future__ import annotations

import io
import zlib
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from stablellava_assets.pictures.decoding import UndecodablePictureError, decoding, in_rgb

if TYPE_CHECKING:
    from PIL import Image

_SIDE = 32
_LOW = 8


def encode_png(picture: Image.Image, xmp: bytes | None = None) -> bytes:
    """Encode as PNG. Run-length matching takes a third of the default's time for a tenth more bytes.

    ``xmp`` is a provenance packet (:func:`stablellava_assets.painters.provenance.xmp_packet`).
    """
    from PIL.PngImagePlugin import PngInfo

    buffer, info = io.BytesIO(), PngInfo()
    if xmp is not None:
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    picture.save(buffer, "PNG", compress_type=zlib.Z_RLE, pnginfo=info)
    return buffer.getvalue()


def picture_suffix(encoded: bytes) -> str:
    """The file suffix of an encoded image, by its content and not its name; ``bin`` if it cannot be identified."""
    from PIL import Image

    try:
        with decoding(), Image.open(io.BytesIO(encoded)) as picture:
            return {"JPEG": "jpg"}.get(str(picture.format), str(picture.format).lower())
    except UndecodablePictureError:
        return "bin"


def perceptual_hash(picture: Image.Image) -> str:
    """The 64-bit hash ``imagehash.phash`` as 16 hex digits, in a tenth of the time.

    Each bit tells whether one of the 8 x 8 lowest frequencies of the cosine transform is
    above their median (Zauner 2010).
    """
    from PIL import Image

    grey = np.asarray(in_rgb(picture).convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS), dtype=np.float64)
    basis = _cosines()
    low = basis @ grey @ basis.T
    return np.packbits(low > np.median(low)).tobytes().hex()


@cache
def _cosines() -> np.ndarray[Any, np.dtype[np.float64]]:
    """Rows of the type-II discrete cosine transform, scaled as in SciPy: 2 cos(pi k (2 n + 1) / 2 N)."""
    frequency, sample = np.arange(_LOW)[:, None], np.arange(_SIDE)[None, :]
    return 2 * np.cos(np.pi * frequency * (2 * sample + 1) / (2 * _SIDE))
