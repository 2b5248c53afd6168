"""Decodes images: the only conversion of file contents to RGB in the project.

Models, hashes and previews all use it, so that they see the same image.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stablellava_assets.inputs.explained import is_system_error, system_message

if TYPE_CHECKING:
    from PIL import Image

_GROUND = (255, 255, 255)
_DEPTHS = (8, 12, 16)
"""Bit depths of integer grey values: those of cameras, of X-rays and microscopes, and of scanners."""
_ORIENTATION_KEYS = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")
_FAULTS = (
    *(OSError, SyntaxError, TypeError, ValueError, EOFError, LookupError, ArithmeticError, NotImplementedError),
    *(struct.error, zlib.error),
)


class UndecodablePictureError(ValueError):
    """Bytes that cannot be decoded as an image; the message says why."""


@contextmanager
def decoding() -> Iterator[None]:
    """Context for opening an image and reading its pixels or metadata.

    Raises:
        UndecodablePictureError: for any exception of Pillow, because the data is not an image or is damaged.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except UndecodablePictureError:
        raise
    except UnidentifiedImageError as error:
        # Pillow's own message contains a memory address, which differs in every run.
        raise UndecodablePictureError("it is in no format that Pillow reads") from error
    except Image.DecompressionBombError as error:
        raise UndecodablePictureError(f"it is too large: {error}") from error
    except _FAULTS as error:
        if isinstance(error, OSError) and is_system_error(error):
            raise UndecodablePictureError(f"it cannot be read: {system_message(error)}") from error
        raise UndecodablePictureError(str(error) or type(error).__name__) from error


def upright(encoded: bytes | None) -> Image.Image:
    """The whole image in RGB, as returned by :func:`in_rgb`.

    Raises:
        UndecodablePictureError: there are no bytes, or they are not an image, or damaged.
    """
    from PIL import Image

    if not encoded:
        raise UndecodablePictureError("it is empty")
    with decoding():
        picture = Image.open(io.BytesIO(encoded))
        picture.load()
    return in_rgb(picture)


def in_rgb(picture: Image.Image) -> Image.Image:
    """Convert an opened image to 8-bit RGB, rotated by its orientation tag; an image in
    this form is returned unchanged.

    Transparent pixels are blended with white. Grey values of more than 8 bits are scaled: integers from the smallest of
    8, 12 and 16 bits that holds them all, floats from 0 to 1, and values outside these ranges (negative ones,
    distances) from their minimum to their maximum. Animations give their first frame.

    Raises:
        UndecodablePictureError: the image or its metadata is damaged.
    """
    with decoding():
        picture.load()
        picture = _turned(picture)
        if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
            return _from_deep_grey(picture)
        if picture.has_transparency_data:
            return _on_white(picture)
        if picture.mode == "LAB":
            return _from_lab(picture)
        return picture if picture.mode == "RGB" else picture.convert("RGB")


def rendered_otherwise(source: bytes | Path) -> list[str]:
    """How the result of :func:`in_rgb` differs from that of ``convert("RGB")``, from the file header alone.

    ``deep`` (grey of more than 8 bits), ``transparent``, ``lab``, ``turned`` (orientation tag); empty for all other
    images and for undecodable files. Rows of such images that used ``convert("RGB")`` must be made again.
    """
    from PIL import Image

    try:
        with decoding(), Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
            deep = picture.mode in ("I", "F") or picture.mode.startswith("I;")
            # Without EXIF data in its header, a PNG would be decoded to search for it.
            turned = "exif" in picture.info and _is_turned(picture)
            found = {
                "deep": deep,
                "transparent": not deep and picture.has_transparency_data,
                "lab": picture.mode == "LAB",
                "turned": turned,
            }
            return [name for name, holds in found.items() if holds]
    except UndecodablePictureError:
        return []


def orientation_in_header(picture: Image.Image) -> int:
    """The orientation of an opened image in EXIF numbers (1: upright), from the EXIF data or XMP in its header.

    Raises:
        Exception: the metadata is damaged; call it within :func:`decoding`.
    """
    from PIL import ExifTags

    # Without such data in its header, a PNG would be decoded to search for it.
    if not any(key in picture.info for key in _ORIENTATION_KEYS):
        return 1
    orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in range(1, 9) else 1


def _turned(picture: Image.Image) -> Image.Image:
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(picture) if _is_turned(picture) else picture
    except (AttributeError, *_FAULTS) as error:
        # Pillow rewrites all EXIF data and fails on values of the wrong type.
        raise UndecodablePictureError(f"what its camera stored beside it (EXIF) is damaged: {error}") from error


def _is_turned(picture: Image.Image) -> bool:
    from PIL import ExifTags

    return picture.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9)


def _on_white(picture: Image.Image) -> Image.Image:
    from PIL import Image

    through = {"RGBa": "RGBA", "La": "LA"}.get(picture.mode)
    layered = (picture if through is None else picture.convert(through)).convert("RGBA")
    ground = Image.new("RGBA", picture.size, (*_GROUND, 255))
    return Image.alpha_composite(ground, layered).convert("RGB")


def _from_lab(picture: Image.Image) -> Image.Image:
    from PIL import ImageCms

    made = ImageCms.profileToProfile(
        picture, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert made is not None
    return made


def _from_deep_grey(picture: Image.Image) -> Image.Image:
    import numpy as np
    from PIL import Image

    values = np.asarray(picture).astype(np.float64)
    known = np.isfinite(values)
    shown = values[known]
    least, greatest = (float(shown.min()), float(shown.max())) if shown.size else (0.0, 0.0)
    low, high = _range_of(picture.mode, least, greatest)
    scaled = np.clip((np.where(known, values, low) - low) * (255 / (high - low)) + 0.5, 0, 255)
    hidden = picture.info.get("transparency")
    if isinstance(hidden, int):
        scaled[values == hidden] = _GROUND[0]
    return Image.fromarray(scaled.astype(np.uint8)).convert("RGB")


def _range_of(mode: str, least: float, greatest: float) -> tuple[float, float]:
    """The values that are mapped to black and white."""
    if least >= 0:
        for white in (1.0, 255.0) if mode == "F" else (2.0**bits - 1 for bits in _DEPTHS):
            if greatest <= white:
                return 0.0, white
    return least, max(greatest, least + 1)
