"""Rules for an image on its own, and for the images of a pair beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stablellava_assets.filters.findings import Finding
from stablellava_assets.pictures.decoding import upright
from stablellava_assets.tables.pair_rows import ImageToJudge

if TYPE_CHECKING:
    from PIL import Image

_SIDE = 32
"""Side of the reduced images that are compared: what differs in fewer pixels is too small to be seen."""


class PictureReading(NamedTuple):
    """Standard deviation of the grey values (0 to 255; None if the image cannot be decoded), and the findings.

    ``reduced`` is the image in RGB, shape (32, 32, 3), if it was asked for and can be decoded.
    """

    spread: float | None
    findings: tuple[Finding, ...]
    reduced: NDArray[np.int16] | None = None


def read_picture(image: ImageToJudge, encoded: bytes | None, min_spread: float, reduce: bool = False) -> PictureReading:
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
    reduced = _reduced(picture) if reduce else None
    if spread < min_spread:
        finding = Finding(
            "blank_image", f"The picture's grey values spread by {spread:.1f}; at least {min_spread} is asked."
        )
        return PictureReading(spread, (finding,), reduced)
    return PictureReading(spread, (), reduced)


def check_same_image(
    images: Sequence[ImageToJudge], pictures: Sequence[PictureReading], min_difference: float
) -> Iterator[Finding]:
    """The first two images of a pair that cannot be told apart: they have the same bytes, or differ nowhere by
    ``min_difference`` in red, green or blue (0 to 255)."""
    for (at, one), (other_at, other) in combinations(enumerate(pictures), 2):
        which = f"Pictures {at + 1} and {other_at + 1}"
        if images[at]["sha256"] == images[other_at]["sha256"]:
            yield Finding("same_image", f"{which} are byte for byte the same.")
            return
        if one.reduced is None or other.reduced is None:
            continue
        difference = float(np.abs(one.reduced - other.reduced).max())
        if difference < min_difference:
            yield Finding(
                "same_image",
                f"{which} look the same: they differ by {difference:.0f} grey values at most; at least "
                f"{min_difference:g} are asked.",
            )
            return


def _reduced(picture: Image.Image) -> NDArray[np.int16]:
    from PIL import Image

    return np.asarray(picture.resize((_SIDE, _SIDE), Image.Resampling.BOX)).astype(np.int16)


def _broken(explanation: str, spread: float | None = None) -> PictureReading:
    return PictureReading(spread, (Finding("broken_image", explanation),))
