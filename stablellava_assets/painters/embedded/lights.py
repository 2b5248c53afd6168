"""Effects of the light words of a prompt, subtle enough that colours and things stay recognizable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

Light = Callable[["Image.Image"], "Image.Image"]


def _soft(picture: Image.Image) -> Image.Image:
    from PIL import ImageEnhance, ImageFilter

    return ImageEnhance.Brightness(picture.filter(ImageFilter.BoxBlur(picture.width / 320))).enhance(1.05)


def _vibrant(picture: Image.Image) -> Image.Image:
    from PIL import ImageEnhance

    return ImageEnhance.Color(picture).enhance(1.3)


def _dramatic(picture: Image.Image) -> Image.Image:
    from PIL import ImageChops, ImageEnhance

    return ImageChops.multiply(ImageEnhance.Contrast(picture).enhance(1.12), _vignette(picture.width))


def _dreamy(picture: Image.Image) -> Image.Image:
    from PIL import Image, ImageChops, ImageFilter

    glow = ImageChops.screen(picture, picture.filter(ImageFilter.BoxBlur(picture.width / 36)))
    return Image.blend(picture, glow, 0.35)


def _shiny(picture: Image.Image) -> Image.Image:
    from PIL import ImageChops

    return ImageChops.add(picture, _streak(picture.width))


@lru_cache(maxsize=4)
def _vignette(size: int) -> Image.Image:
    from PIL import Image

    axis = np.linspace(-1, 1, size)
    distance = axis[None, :] ** 2 + axis[:, None] ** 2
    return Image.fromarray((255 * (1 - 0.22 * distance)).astype(np.uint8), "L").convert("RGB")


@lru_cache(maxsize=4)
def _streak(size: int) -> Image.Image:
    from PIL import Image

    axis = np.linspace(0, 1, size)
    along = axis[None, :] + axis[:, None]
    return Image.fromarray((34 * np.exp(-(((along - 0.7) / 0.16) ** 2))).astype(np.uint8), "L").convert("RGB")


LIGHTS: Mapping[str, Light] = {
    "soft light": _soft,
    "vibrant": _vibrant,
    "dramatic lighting": _dramatic,
    "dreamy": _dreamy,
    "glowing": _dreamy,
    "shiny": _shiny,
    "volumetric light": _shiny,
}
"""The light words that the painter implements, and the effect of each on an RGB image."""

QUALITY_WORDS = frozenset(
    {
        "4k",
        "8k",
        "best quality",
        "detailed",
        "hd",
        "high quality",
        "high resolution",
        "highly detailed",
        "hyperrealistic",
        "intricate",
        "intricate details",
        "masterpiece",
        "photorealistic",
        "realistic",
        "sharp focus",
        "uhd",
        "ultra detailed",
    }
)
"""Words that only ask for quality. They have no effect, because this painter always draws at its best."""
