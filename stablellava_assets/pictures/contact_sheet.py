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


Cell = tuple[bytes | Sequence[bytes], str]
"""An encoded image, or several, which stand side by side with their numbers; and the caption below."""


def contact_sheet(cells: Sequence[Cell], columns: int, caption_lines: int) -> bytes:
    """A JPEG of cells, whose captions are wrapped and cut to ``caption_lines`` lines; ``columns`` counts images."""
    from PIL import Image, ImageDraw, ImageFont

    pictures = [[shown] if isinstance(shown, bytes) else shown for shown, _ in cells]
    most = max(map(len, pictures), default=1)
    cells_a_row = max(1, columns // most)
    columns = most * cells_a_row
    width, height = _PICTURE + _GAP, _PICTURE + _GAP + caption_lines * _LINE
    rows = -(-len(cells) // cells_a_row)
    sheet = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), "#ffffff")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT_SIZE)
    for index, (shown, (_, caption)) in enumerate(zip(pictures, cells, strict=True)):
        left, y = _GAP + index % cells_a_row * most * width, _GAP + index // cells_a_row * height
        for number, encoded in enumerate(shown, 1):
            x = left + (number - 1) * width
            sheet.paste(_thumbnail(encoded), (x, y))
            if len(shown) > 1:
                draw.rectangle((x, y, x + _LINE, y + _LINE), "#333333")
                draw.text((x + 4, y), str(number), "#ffffff", font)
        characters = _CHARACTERS_A_LINE * max(1, len(shown))
        lines = [line for part in caption.split("\n") for line in textwrap.wrap(part, characters)]
        draw.multiline_text((left, y + _PICTURE + 2), "\n".join(lines[:caption_lines]), "#333333", font, spacing=1)
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _thumbnail(encoded: bytes) -> Image.Image:
    """The whole image, reduced in size; a grey square if it cannot be decoded, so that rejected images can be shown."""
    from PIL import Image, ImageOps

    square = (_PICTURE, _PICTURE)
    small = small_picture(encoded, 2 * _PICTURE)
    return Image.new("RGB", square, "#cccccc") if small is None else ImageOps.pad(small, square, color="#ffffff")
