"""Composes an image: background, props, subject with a soft outline, light and drawing style."""

from __future__ import annotations

import math
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from stablellava_assets.painters.embedded.backdrops import paint_backdrop, paint_plain_backdrop
from stablellava_assets.painters.embedded.effects import EFFECTS
from stablellava_assets.painters.embedded.lights import LIGHTS
from stablellava_assets.painters.embedded.scene_plan import Color, Drawing, ScenePlan
from stablellava_assets.painters.embedded.sprites import SPRITE_SIDE, load_sprite

if TYPE_CHECKING:
    from PIL import Image

_PIECE = tuple[str, float, float, float, float, Color | None]
"""A chosen sprite: file, scale, dx, dy, turn, tint."""

_SIZES = {"close-up": (0.86, 0.96), "mid-range": (0.68, 0.78), "far away": (0.52, 0.60), None: (0.60, 0.90)}
_FEET = {"close-up": (0.94, 0.98), "mid-range": (0.88, 0.95), "far away": (0.78, 0.90), None: (0.86, 0.96)}
_CENTERS = {
    "on the left": (0.22, 0.32),
    "in the center": (0.46, 0.54),
    "on the right": (0.68, 0.78),
    None: (0.32, 0.68),
}
_COUNTED_SIZE = (0.32, 0.38)
_COUNTED_CENTERS = {1: (0.5,), 2: (0.3, 0.7), 3: (0.2, 0.5, 0.8)}
"""Of images that say how many things they show: one has the size of each of three."""
_SIZE_IN_SCENE = 0.6
"""Factor on the size of objects in a scene that is itself the subject."""
_MARGIN = 8
"""Empty border in pixels round an assembled drawing, for its outline and small rotations."""
_ENLARGED = 1.5
"""Assembled drawings are cached at this multiple of the artwork size, so that fast bilinear scaling keeps edges
crisp."""
_TILT = 7.0
_RIM_BLUR = 2.0
_DARK = 80


def paint_scene(plan: ScenePlan, seed: int, size: int) -> Image.Image:
    """Paint ``plan`` as an RGB image of ``size`` x ``size`` pixels. The same plan and seed give the same pixels."""
    behind = Random(seed)
    if plan.backdrop is None:
        canvas = paint_plain_backdrop(size, behind)
    else:
        canvas = paint_backdrop(plan.backdrop, size, behind, in_focus=plan.in_scene or not plan.drawing)
    if plan.drawing:
        # What is drawn for the background depends on the scene, and must not move the subject of a group's images.
        _place(canvas, plan, size, Random(f"place {seed}") if plan.in_group else behind)
    for light in plan.lights:
        canvas = LIGHTS[light](canvas)
    if plan.effect is not None:
        canvas = EFFECTS[plan.effect](canvas, np.random.default_rng(seed))
    return canvas


def _place(canvas: Image.Image, plan: ScenePlan, size: int, rng: Random) -> None:
    placing = Random(f"size {rng.random()}") if plan.in_group else rng
    pieces = _choose_pieces(plan.drawing, rng)
    rng = placing
    sizes = _SIZES[plan.distance] if plan.number is None else _COUNTED_SIZE
    side = size * rng.uniform(*sizes) * (_SIZE_IN_SCENE if plan.in_scene else 1.0)
    cutout = _turned(pieces, rng.random() < 0.5, rng.uniform(-_TILT, _TILT), side)
    half = side / 2
    center = size * rng.uniform(*_CENTERS[plan.position])
    feet = size * rng.uniform(*_FEET[plan.distance])
    if plan.backdrop is None:
        feet = min(size * rng.uniform(0.45, 0.55) + half, feet)
    centers = [center] if plan.number is None else [size * place for place in _COUNTED_CENTERS[plan.number]]
    middle = max(feet - half, half)
    for place in centers:
        center = min(max(place, half), size - half)
        corner = (round(center - cutout.width / 2), round(middle - cutout.height / 2))
        canvas.paste(cutout, corner, cutout)


def _choose_pieces(drawing: Drawing, rng: Random) -> tuple[_PIECE, ...]:
    return tuple(
        (rng.choice(layer.files), layer.scale, layer.dx, layer.dy, layer.turn, layer.tint) for layer in drawing
    )


def _turned(pieces: tuple[_PIECE, ...], mirrored: bool, degrees: float, side: float) -> Image.Image:
    """The assembled drawing, mirrored, rotated and scaled in one resampling so that its sprites span ``side``
    pixels."""
    from PIL import Image

    source, span = _assembled(pieces)
    scale = side / span
    while scale < 0.5:
        # Bilinear resampling reads 2 x 2 pixels. Below this size it would skip some, so the source is halved first.
        source = source.reduce(2)
        scale *= 2
    target = math.ceil(source.width * scale)
    cos, sin = math.cos(math.radians(degrees)) / scale, math.sin(math.radians(degrees)) / scale
    flip = -1 if mirrored else 1
    middle, center = target / 2, source.width / 2
    matrix = (
        flip * cos,
        -sin,
        center - (flip * cos - sin) * middle,
        flip * sin,
        cos,
        center - (flip * sin + cos) * middle,
    )
    return source.transform((target, target), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


@lru_cache(maxsize=768)
def _assembled(pieces: tuple[_PIECE, ...]) -> tuple[Image.Image, float]:
    """The drawing with its soft outline, enlarged, and the number of pixels that its sprites span."""
    from PIL import Image

    span = SPRITE_SIDE * max(_reach(piece) for piece in pieces)
    side = math.ceil(span) + 2 * _MARGIN
    canvas = Image.new("RGBA", (side, side))
    for file, scale, dx, dy, turn, tint in pieces:
        sprite = tinted(file, tint) if tint else load_sprite(file)
        if scale != 1:
            pixels = round(SPRITE_SIDE * scale)
            sprite = sprite.resize((pixels, pixels), Image.Resampling.LANCZOS)
        if turn:
            sprite = sprite.rotate(turn, Image.Resampling.BICUBIC, expand=True)
        x = round(side / 2 + dx * SPRITE_SIDE - sprite.width / 2)
        y = round(side / 2 + dy * SPRITE_SIDE - sprite.height / 2)
        layer = Image.new("RGBA", canvas.size)
        layer.paste(sprite, (x, y))
        canvas = Image.alpha_composite(canvas, layer)
    enlarged = round(side * _ENLARGED)
    return _with_rim(canvas).resize((enlarged, enlarged), Image.Resampling.LANCZOS), span * enlarged / side


def _reach(piece: _PIECE) -> float:
    """Twice the distance from the centre of the box to the farthest side of the sprite, in box sides."""
    _, scale, dx, dy, turn, _ = piece
    slanted = abs(math.sin(math.radians(2 * turn)))
    return 2 * max(abs(dx), abs(dy)) + scale * (1 + 0.41 * slanted)


def _with_rim(cutout: Image.Image) -> Image.Image:
    """Add a soft shadow behind the cutout (a light one if it is dark), so that it stands out from any background."""
    from PIL import Image, ImageFilter, ImageStat

    alpha = cutout.getchannel("A")
    brightness = ImageStat.Stat(cutout.convert("L"), mask=alpha.point(lambda value: 255 * (value > 128))).mean[0]
    color = (255, 255, 255) if brightness < _DARK else (0, 0, 0)
    rim = Image.new("RGBA", cutout.size, color)
    rim.putalpha(alpha.filter(ImageFilter.GaussianBlur(_RIM_BLUR)).point(lambda value: value // 2))
    return Image.alpha_composite(rim, cutout)


@lru_cache(maxsize=1024)
def tinted(file: str, tint: Color) -> Image.Image:
    """A sprite in another colour: its most common brightness becomes ``tint``, and other
    brightnesses keep their contrast."""
    from PIL import Image

    pixels = np.asarray(load_sprite(file), dtype=np.float32)
    brightness = pixels[..., :3] @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    visible = pixels[..., 3] > 128
    usual = max(float(np.median(brightness[visible])), 48.0)
    shade = np.clip(brightness / usual, 0, 1)[..., None]
    shine = np.clip((brightness - usual) / (256 - usual), 0, 1)[..., None]
    base = np.array(tint, dtype=np.float32)
    colors = base * (0.25 + 0.75 * shade)
    colors += (255 - colors) * shine * 0.55
    result = np.concatenate([colors, pixels[..., 3:]], axis=-1)
    return Image.fromarray(result.astype(np.uint8), "RGBA")
