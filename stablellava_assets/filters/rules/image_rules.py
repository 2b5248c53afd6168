"""Rules for an image on its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stablellava_assets.filters.findings import Finding
from stablellava_assets.pictures.decoding import upright
from stablellava_assets.tables.pair_rows import ImageToJudge


class PictureReading(NamedTuple):
    """Standard deviation of the grey values (0 to 255; None if the image cannot be decoded), and the findings."""

    spread: float | None
    findings: tuple[Finding, ...]


def read_picture(image: ImageToJudge, encoded: bytes | None, min_spread: float) -> PictureReading:
    """Decode the image of an ``images`` row and apply the image rules."""
    if not encoded:
        return _broken("The picture has no bytes.")
    try:
        picture = upright(encoded)
        spread = float(np.asarray(picture.convert("L")).std())
    except ValueError as error:
        return _broken(f"The picture cannot be decoded: {error}.")
    if picture.size != (image["width"], image["height"]):
        expected = f"{image['width']} x {image['height']}"
        return _broken(f"The picture is {picture.width} x {picture.height} pixels; its row says {expected}.", spread)
    if spread < min_spread:
        finding = Finding(
            "blank_image", f"The picture's grey values spread by {spread:.1f}; at least {min_spread} is asked."
        )
        return PictureReading(spread, (finding,))
    return PictureReading(spread, ())


def _broken(explanation: str, spread: float | None = None) -> PictureReading:
    return PictureReading(spread, (Finding("broken_image", explanation),))
