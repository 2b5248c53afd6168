"""Pictures from their bytes, or why they are none: the one way in which the project makes RGB of whatever a file holds.

What a model is shown, what is hashed, and what people see are made here, so that all of them are the same picture.
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
"""Bits in which whole grey values come: those of cameras, of X-rays and microscopes, of scanners."""
_HELD_IN = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")
_FAULTS = (
    *(OSError, SyntaxError, TypeError, ValueError, EOFError, LookupError, ArithmeticError, NotImplementedError),
    *(struct.error, zlib.error),
)


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
    except UndecodablePictureError:
        raise
    except UnidentifiedImageError as error:
        # Pillow's own words name the place of the buffer in memory, which is another in every run.
        raise UndecodablePictureError("it is in no format that Pillow reads") from error
    except Image.DecompressionBombError as error:
        raise UndecodablePictureError(f"it is too large: {error}") from error
    except _FAULTS as error:
        if isinstance(error, OSError) and is_system_error(error):
            raise UndecodablePictureError(f"it cannot be read: {system_message(error)}") from error
        raise UndecodablePictureError(str(error) or type(error).__name__) from error


def upright(encoded: bytes | None) -> Image.Image:
    """The whole picture in RGB, as :func:`in_rgb` makes it.

    Raises:
        UndecodablePictureError: there are no bytes, or they are no picture, or a damaged one.
    """
    from PIL import Image

    if not encoded:
        raise UndecodablePictureError("it is empty")
    with decoding():
        picture = Image.open(io.BytesIO(encoded))
        picture.load()
    return in_rgb(picture)


def in_rgb(picture: Image.Image) -> Image.Image:
    """An opened picture in 8-bit RGB, turned as its camera was held; one that is that already comes back as it is.

    What is transparent lies on white. Grey values of more than 8 bits are scaled: whole ones from the fewest of 8, 12 and 16 bits
    that hold them all, fractions from 0 to 1; what fits neither (negative ones, distances) from its least to its
    greatest. Of an animation it is the first frame.

    Raises:
        UndecodablePictureError: the picture, or what is stored beside its pixels, is damaged.
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
    """In what a picture differs from what a plain ``convert("RGB")`` makes of its file, from the file's head alone.

    ``deep`` (grey of more than 8 bits), ``transparent``, ``lab``, ``turned`` (by its camera); nothing for all others, and for
    what is no picture. Whoever made rows of such pictures before must make them anew.
    """
    from PIL import Image

    try:
        with decoding(), Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
            deep = picture.mode in ("I", "F") or picture.mode.startswith("I;")
            # Without EXIF data in its head a PNG would be decoded in search of some.
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


def held_by_its_head(picture: Image.Image) -> int:
    """How an opened picture's camera was held, in EXIF's numbers (1: upright), from the file's head alone: its EXIF data, or its XMP.

    Raises:
        Exception: what stands there is damaged; call it within :func:`decoding`.
    """
    from PIL import ExifTags

    # Without such data in its head a PNG would be decoded in search of some.
    if not any(key in picture.info for key in _HELD_IN):
        return 1
    held = picture.getexif().get(ExifTags.Base.Orientation, 1)
    return held if held in range(1, 9) else 1


def _turned(picture: Image.Image) -> Image.Image:
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(picture) if _is_turned(picture) else picture
    except (AttributeError, *_FAULTS) as error:
        # Pillow writes all of it anew, and asks a value of the wrong kind for what it has not.
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
    """The values that become black and white."""
    if least >= 0:
        for white in (1.0, 255.0) if mode == "F" else (2.0**bits - 1 for bits in _DEPTHS):
            if greatest <= white:
                return 0.0, white
    return least, max(greatest, least + 1)
