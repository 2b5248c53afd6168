"""Drawing styles: each renders a finished RGB image in another technique.

Lengths are given for an image of 144 pixels and scale with its size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from stablellava_assets.painters.embedded.tiles import cell_means, dots, jittered_cells, stitches, tile_grid

if TYPE_CHECKING:
    from PIL import Image

Effect = Callable[["Image.Image", np.random.Generator], "Image.Image"]
Pixels = np.ndarray[Any, np.dtype[Any]]


def _unit(picture: Image.Image) -> float:
    return picture.width / 144


def _edges(picture: Image.Image) -> Pixels:
    """Strength of brightness edges, 0 to 1, shape (rows, columns)."""
    grey = np.asarray(picture.convert("L"), dtype=np.float32)
    across = np.abs(np.diff(grey, axis=1, append=grey[:, -1:]))
    down = np.abs(np.diff(grey, axis=0, append=grey[-1:]))
    strength: Pixels = np.clip((across + down) / 64, 0, 1)
    return strength


def _picture(pixels: Pixels) -> Image.Image:
    from PIL import Image

    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")


def _through(picture: Image.Image, *stops: str) -> Image.Image:
    """Map brightness to a gradient of ``stops``, evenly spaced from black to white."""
    grey = np.asarray(picture.convert("L"))
    return _picture(_color_table(stops)[grey])


@lru_cache(maxsize=32)
def _color_table(stops: tuple[str, ...]) -> Pixels:
    from PIL import ImageColor

    colors = np.array([ImageColor.getrgb(stop) for stop in stops], dtype=np.float32)
    at = np.linspace(0, 255, len(stops))
    return np.stack([np.interp(np.arange(256), at, colors[:, channel]) for channel in range(3)], axis=-1)


def _pixel_art(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Large square pixels in the few colours of an early home computer."""
    from PIL import Image

    side = 18
    small = picture.resize((side, side), Image.Resampling.BOX)
    few = small.quantize(palette=_computer_colors(), dither=Image.Dither.NONE)
    return few.convert("RGB").resize(picture.size, Image.Resampling.NEAREST)


@lru_cache(maxsize=1)
def _computer_colors() -> Image.Image:
    """A picture whose palette holds every colour with channels off, half or full on."""
    from PIL import Image

    levels = (0, 128, 255)
    colors = [channel for color in product(levels, repeat=3) for channel in color]
    palette = Image.new("P", (1, 1))
    palette.putpalette(colors)
    return palette


def _watercolor(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Pale washes with dark rims, bleeding into white paper."""
    from PIL import Image, ImageFilter

    size = picture.width
    washed = np.asarray(picture.filter(ImageFilter.MedianFilter(5)).filter(ImageFilter.BoxBlur(1)), dtype=np.float32)
    cloudy = Image.fromarray(rng.integers(0, 256, (9, 9), dtype=np.uint8), "L").resize(
        picture.size, Image.Resampling.BICUBIC
    )
    strength = 0.45 + 0.3 * np.asarray(cloudy, dtype=np.float32)[..., None] / 255
    painted = 255 - (255 - washed) * strength
    painted -= 60 * _edges(picture.filter(ImageFilter.BoxBlur(1)))[..., None]
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    radius = np.maximum(np.abs(axis)[None, :], np.abs(axis)[:, None]) + 0.16 * (strength[..., 0] - 0.6)
    paper = np.clip((radius - 0.84) / 0.06, 0, 1)[..., None]
    return _picture(painted + (252 - painted) * paper)


def _pencil_sketch(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Grey lines on white paper, with hatching where it is dark."""
    grey = np.asarray(picture.convert("L"), dtype=np.float32)
    rows, columns = np.indices(grey.shape)
    hatching = ((rows + columns) // max(1, round(2 * _unit(picture)))) % 3 == 0
    lines = 250 - 205 * _edges(picture) ** 0.6
    lines -= np.where(hatching & (grey < 110), 80, 0)
    return _picture(np.repeat(lines[..., None], 3, axis=-1))


def _oil_painting(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Thick slanted strokes with lit ridges under golden varnish, dark towards the corners as old masters are."""
    from PIL import Image, ImageEnhance, ImageFilter

    strong = ImageEnhance.Color(picture.filter(ImageFilter.ModeFilter(5))).enhance(1.5)
    noise = Image.fromarray(rng.integers(0, 256, (picture.height // 3, picture.width // 10), dtype=np.uint8), "L")
    strokes = noise.resize((picture.width * 2, picture.height * 2), Image.Resampling.BICUBIC).rotate(35)
    corner = picture.width // 2
    ridges = strokes.crop((corner, corner, corner + picture.width, corner + picture.height))
    relief = np.asarray(ridges, dtype=np.float32)[..., None] - 128
    axis = np.linspace(-1, 1, picture.width, dtype=np.float32) ** 2
    light = 1.05 - 0.45 * (axis[None, :] + axis[:, None])[..., None]
    painted = (np.asarray(strong, dtype=np.float32) + 0.5 * relief) * light
    return _picture(painted * np.array((1.0, 0.86, 0.6), dtype=np.float32))


def _black_and_white(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    return _through(picture, "#0c0c0c", "#7c7c7c", "#f4f4f4")


def _sepia(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    return _through(picture, "#2b1608", "#a9794a", "#f7e3bf")


def _negative(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    from PIL import ImageOps

    return ImageOps.invert(picture)


def _thermal(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    from PIL import ImageFilter

    blurred = picture.filter(ImageFilter.BoxBlur(1.5 * _unit(picture)))
    return _through(blurred, "#000050", "#3a00c8", "#d01080", "#ff6a00", "#ffe600", "#ffffff")


def _blueprint(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """White outlines on blue squared paper."""
    drawn = np.full((*picture.size, 3), (24, 66, 150), dtype=np.float32)
    step = round(18 * _unit(picture))
    drawn[::step] = drawn[:, ::step] = (70, 112, 190)
    lines = (_edges(picture) ** 0.7)[..., None]
    return _picture(drawn + (255 - drawn) * lines)


def _neon(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Glowing outlines in saturated colours on black."""
    from PIL import Image, ImageChops, ImageFilter

    hue, _, _ = picture.convert("HSV").split()
    full = Image.new("L", picture.size, 255)
    light = Image.fromarray((255 * _edges(picture)).astype(np.uint8), "L").filter(ImageFilter.MaxFilter(3))
    lines = Image.merge("HSV", (hue, full, light)).convert("RGB")
    glow = lines.filter(ImageFilter.BoxBlur(3 * _unit(picture)))
    return ImageChops.add(ImageChops.add(lines, glow), glow)


def _pop_art(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The same picture four times, each in three flat garish colours."""
    from PIL import Image, ImageOps

    half = picture.width // 2
    small = ImageOps.autocontrast(picture.resize((half, half), Image.Resampling.BOX).convert("L"))
    shades = np.digitize(np.asarray(small), (90, 170))
    palettes = np.array(_POP_ART_COLORS, dtype=np.uint8)[rng.permutation(4)]
    panels = palettes[:, shades]
    sheet = np.concatenate([np.concatenate(panels[:2], axis=1), np.concatenate(panels[2:], axis=1)])
    return _picture(sheet).resize(picture.size, Image.Resampling.NEAREST)


_POP_ART_COLORS = (
    ((60, 20, 140), (255, 40, 150), (255, 235, 60)),
    ((200, 20, 40), (40, 200, 230), (255, 250, 220)),
    ((10, 90, 60), (255, 130, 20), (170, 245, 120)),
    ((20, 30, 110), (250, 70, 60), (150, 225, 255)),
)


def _mosaic(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Square stones of slightly uneven brightness in pale mortar."""
    cells, mortar = tile_grid(picture.width, round(10 * _unit(picture)))
    stones = cell_means(np.asarray(picture), cells)
    stones *= rng.uniform(0.85, 1.15, (len(stones), 1))
    drawn = stones[cells]
    drawn[mortar] = (232, 226, 212)
    return _picture(drawn)


def _stained_glass(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Irregular bright panes between black leads."""
    from PIL import ImageEnhance

    cells, leads = jittered_cells(picture.width, 11, int(rng.integers(8)))
    panes = cell_means(np.asarray(ImageEnhance.Color(picture).enhance(1.9)), cells) * 1.12
    drawn = panes[cells]
    drawn[leads] = (16, 14, 18)
    return _picture(drawn)


def _pointillism(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Separate dots of strong colour on pale canvas."""
    from PIL import ImageEnhance

    cells, inside = dots(picture.width, 28, int(rng.integers(8)))
    colors = cell_means(np.asarray(ImageEnhance.Color(picture).enhance(1.7)), cells)
    colors += rng.normal(0, 20, colors.shape)
    return _picture(np.where(inside[..., None], colors[cells], (248, 244, 232)))


def _cross_stitch(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Rows of crossed threads on dark cloth."""
    step = round(8 * _unit(picture))
    cells, _ = tile_grid(picture.width, step)
    threads = cell_means(np.asarray(picture), cells)[cells]
    shade = stitches(picture.width, step)[..., None]
    cloth = np.array((52, 44, 60), dtype=np.float32)
    return _picture(cloth + (threads * 1.1 - cloth) * shade)


def _comic(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A panel with a black rim on white paper: few flat colours, black outlines, printed dots in the shades."""
    from PIL import ImageEnhance, ImageOps

    flat = np.asarray(ImageOps.posterize(ImageEnhance.Color(picture).enhance(1.8), 2), dtype=np.float32) + 40
    step = 2 * np.pi / (8 * _unit(picture))
    axis = np.arange(picture.width)
    screen = np.sin(axis * step)[None, :] * np.sin(axis * step)[:, None]
    flat = np.where((screen > 0.35)[..., None], flat * 0.72, flat * 1.08)
    drawn = flat * (1 - np.clip(_edges(picture) * 1.6 - 0.3, 0, 1))[..., None]
    for width, shade in ((10, 0), (7, 255)):
        rim = round(width * _unit(picture))
        drawn[:rim] = drawn[-rim:] = drawn[:, :rim] = drawn[:, -rim:] = shade
    return _picture(drawn)


EFFECTS: Mapping[str, Effect] = {
    "black and white": _black_and_white,
    "blueprint": _blueprint,
    "comic": _comic,
    "cross stitch": _cross_stitch,
    "mosaic": _mosaic,
    "negative": _negative,
    "neon": _neon,
    "oil painting": _oil_painting,
    "pencil sketch": _pencil_sketch,
    "pixel art": _pixel_art,
    "pointillism": _pointillism,
    "pop art": _pop_art,
    "sepia": _sepia,
    "stained glass": _stained_glass,
    "thermal": _thermal,
    "watercolor": _watercolor,
}
"""The drawing styles a catalog's ``effect`` may name."""
