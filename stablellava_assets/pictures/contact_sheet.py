"""Contact sheets: many small images with captions in one image."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stablellava_assets.pictures.thumbnails import small_picture

if TYPE_CHECKING:
    from PIL import Image

_PICTURE = 104
_GAP = 8
_LINE = 13
_FONT_SIZE = 11
_CHARACTERS_A_LINE = 20


def contact_sheet(cells: Sequence[tuple[bytes, str]], columns: int, caption_lines: int) -> bytes:
    """A JPEG of encoded images with captions below, which are wrapped and cut to ``caption_lines`` lines."""
    from PIL import Image, ImageDraw, ImageFont

    width, height = _PICTURE + _GAP, _PICTURE + _GAP + caption_lines * _LINE
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), "#ffffff")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT_SIZE)
    for index, (encoded, caption) in enumerate(cells):
        x, y = _GAP + index % columns * width, _GAP + index // columns * height
        sheet.paste(_thumbnail(encoded), (x, y))
        lines = [line for part in caption.split("\n") for line in textwrap.wrap(part, _CHARACTERS_A_LINE)]
        draw.multiline_text((x, y + _PICTURE + 2), "\n".join(lines[:caption_lines]), "#333333", font, spacing=1)
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _thumbnail(encoded: bytes) -> Image.Image:
    """The whole image, reduced in size; a grey square if it cannot be decoded, so that rejected images can be shown."""
    from PIL import Image, ImageOps

    square = (_PICTURE, _PICTURE)
    small = small_picture(encoded, 2 * _PICTURE)
    return Image.new("RGB", square, "#cccccc") if small is None else ImageOps.pad(small, square, color="#ffffff")
