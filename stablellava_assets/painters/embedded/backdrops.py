"""Backgrounds of scenes: sky, ground and props, or a plain gradient."""

from __future__ import annotations

import colorsys
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from stablellava_assets.painters.embedded.scene_plan import BackdropPlan, Color
from stablellava_assets.painters.embedded.sprites import load_sprite

if TYPE_CHECKING:
    from PIL import Image

Floats = np.ndarray[Any, np.dtype[np.float32]]

_PROP_STEP = 4
"""Props come in sizes that are multiples of this many pixels, so that resized ones can be cached."""
_PROPS_IN_FOCUS = ((4, 6), 1.0)
_PROPS_BEHIND = ((3, 4), 0.65)
"""Minimum and maximum number of props, and their scale."""
_SOFTNESS = 0.01
"""Radius of the blur behind a subject, as a fraction of the image side."""
_HUE_JITTER = 0.06
_LIGHT_JITTER = 0.08
_HORIZON_JITTER = 0.04


def paint_backdrop(plan: BackdropPlan, size: int, rng: Random, *, in_focus: bool) -> Image.Image:
    """Paint sky above a horizon, ground below it, and props from back to front.

    Behind a subject, everything is out of focus: props are few and small, so that the background shows the place
    without competing with the subject.
    """
    from PIL import ImageFilter

    horizon = round(size * min(max(plan.horizon + rng.uniform(-_HORIZON_JITTER, _HORIZON_JITTER), 0.1), 0.95))
    canvas = _two_gradients(_varied(plan.sky, rng), _varied(plan.ground, rng), horizon, size)
    if plan.sky_props:
        _hang(canvas, plan.sky_props, horizon, rng)
    if plan.props:
        _stand(canvas, plan.props, horizon, rng, *(_PROPS_IN_FOCUS if in_focus else _PROPS_BEHIND))
    return canvas if in_focus else canvas.filter(ImageFilter.GaussianBlur(size * _SOFTNESS))


def paint_plain_backdrop(size: int, rng: Random) -> Image.Image:
    """A pale gradient of two neighbouring hues in any direction."""
    from PIL import Image

    hue = rng.random()
    ends = [
        colorsys.hsv_to_rgb((hue + shift) % 1, rng.uniform(0.05, 0.3), rng.uniform(0.75, 0.98)) for shift in (0, 0.08)
    ]
    start, end = (np.array(color, dtype=np.float32) * 255 for color in ends)
    angle = rng.uniform(0, 2 * np.pi)
    axis = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    along = axis[None, :] * np.float32(np.cos(angle)) + axis[:, None] * np.float32(np.sin(angle)) + np.float32(0.5)
    return Image.fromarray((start + (end - start) * np.clip(along, 0, 1)[..., None]).astype(np.uint8))


def _two_gradients(sky: Floats, ground: Floats, horizon: int, size: int) -> Image.Image:
    from PIL import Image

    column = np.concatenate(
        [
            np.linspace(sky[0], sky[1], horizon, dtype=np.float32),
            np.linspace(ground[0], ground[1], size - horizon, dtype=np.float32),
        ]
    )
    return Image.fromarray(column[:, None, :].astype(np.uint8)).resize((size, size), Image.Resampling.NEAREST)


def _varied(gradient: tuple[Color, Color], rng: Random) -> Floats:
    """Both ends of a gradient, shifted together in hue and lightness."""
    light = rng.uniform(-_LIGHT_JITTER, _LIGHT_JITTER)
    channels = [1 + light + rng.uniform(-_HUE_JITTER, _HUE_JITTER) for _ in range(3)]
    return np.clip(np.array(gradient, dtype=np.float32) * np.array(channels, dtype=np.float32), 0, 255)


def _hang(canvas: Image.Image, files: tuple[str, ...], horizon: int, rng: Random) -> None:
    size = canvas.width
    shown = rng.sample(files, rng.randint((len(files) + 1) // 2, len(files)))
    for place, file in enumerate(rng.sample(shown, len(shown))):
        pixels = size * rng.uniform(0.12, 0.24)
        slot = size / len(shown)
        x = slot * (place + rng.uniform(0.2, 0.8)) - pixels / 2
        y = rng.uniform(0.02 * size, max(0.03 * size, horizon - 1.3 * pixels))
        _paste(canvas, file, pixels, x, y, rng)


def _stand(
    canvas: Image.Image, files: tuple[str, ...], horizon: int, rng: Random, counts: tuple[int, int], scale: float
) -> None:
    size = canvas.width
    count = rng.randint(*counts)
    shown = [files[index % len(files)] for index in range(count)]
    rng.shuffle(shown)
    slot = size / count
    standing = [(rng.random(), (place + rng.uniform(0.1, 0.9)) * slot, file) for place, file in enumerate(shown)]
    for nearness, x, file in sorted(standing):
        pixels = scale * size * (0.24 + 0.2 * nearness) * rng.uniform(0.9, 1.1)
        feet = horizon + size * 0.04 + nearness * (size - horizon) * 0.45
        _paste(canvas, file, pixels, x - pixels / 2, feet - pixels, rng)


def _paste(canvas: Image.Image, file: str, pixels: float, x: float, y: float, rng: Random) -> None:
    stepped = max(_PROP_STEP, round(pixels / _PROP_STEP) * _PROP_STEP)
    prop = _prop(file, stepped, rng.random() < 0.5)
    canvas.paste(prop, (round(x), round(y)), prop)


@lru_cache(maxsize=4096)
def _prop(file: str, pixels: int, mirrored: bool) -> Image.Image:
    from PIL import Image, ImageOps

    sprite = load_sprite(file).resize((pixels, pixels), Image.Resampling.LANCZOS)
    return ImageOps.mirror(sprite) if mirrored else sprite
