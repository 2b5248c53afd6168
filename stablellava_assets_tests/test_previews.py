"""Contact sheets in asset metadata: the images of a pair, a group of prompts or an item stand side by side."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from stablellava_assets.defs.previews import first_pictures, item_sheet, pair_sheet, sheet
from stablellava_assets.tables.schemas import ABILITY_BENCHMARK, IMAGES, PROMPT_SPECS
from stablellava_assets.tables.table import AnyTable
from stablellava_assets_tests.filters.pairs import candidate, images_of, judged, of_group, png

WIDTH = 112
"""Of an image and the gap beside it."""
COLORS = {"red": (200, 40, 40), "green": (40, 160, 40), "blue": (40, 40, 200)}


def plain(color: str) -> bytes:
    return png(np.full((24, 24, 3), COLORS[color], dtype=np.uint8))


def colors_of(shown: Any) -> list[str]:
    """The colors of the images in the first row of a sheet, from left to right; none where the sheet is white."""
    encoded = re.search(r"base64,([^)]*)", shown.value)
    assert encoded is not None
    with Image.open(io.BytesIO(base64.b64decode(encoded[1]))) as opened:
        pixels = np.asarray(opened.convert("RGB")).astype(int)
    found = [pixels[60, 8 + WIDTH // 2 + WIDTH * number] for number in range((pixels.shape[1] - 8) // WIDTH)]
    names = {name: np.array(color) for name, color in COLORS.items()} | {"none": np.array([255, 255, 255])}
    return [min(names, key=lambda name: abs(names[name] - color).sum()) for color in found]


def rows_of(table: AnyTable, *rows: dict[str, Any]) -> pa.Table:
    return table.from_rows([{**dict.fromkeys(table.schema.names), **row} for row in rows])


def test_the_images_of_a_pair_are_beside_each_other_in_order() -> None:
    red, green, blue = (candidate(color, picture=plain(color)) for color in COLORS)
    pairs = [of_group("two", blue, red), of_group("three", red, green, blue)]
    images = images_of(pairs)
    assert colors_of(pair_sheet(judged(pairs[0]), images)) == ["blue", "red"] + ["none"] * 6
    assert colors_of(pair_sheet(judged(*pairs), images)) == ["blue", "red", "none", "red", "green", "blue"]


def test_the_images_of_a_group_of_prompts_are_beside_each_other() -> None:
    specs = [
        {"spec_id": color, "subject": f"{color} car", "group_id": group, "image_number": number}
        for group, color, number in (("one", "red", 1), ("one", "blue", 2), (None, "green", None))
    ]
    images = [{"image_id": color, "spec_id": color, "image": {"bytes": plain(color), "path": None}} for color in COLORS]
    ordered = [images[0], images[2], images[1]]
    shown = first_pictures([rows_of(IMAGES, *ordered)], rows_of(PROMPT_SPECS, *specs))
    assert colors_of(sheet(shown))[:4] == ["red", "blue", "green", "none"]


def test_a_benchmark_item_shows_all_of_its_images() -> None:
    encoded = [{"bytes": plain(color), "path": None} for color in COLORS]
    item = {"question": "<image><image> What?", "accepted": ["red"], "accepted_groups": [["red"], ["blue"]]}
    single = {"question": "What?", "accepted": ["green"], "image": encoded[1]}
    several = {**item, "image": encoded[0], "further_images": [encoded[2]]}
    assert colors_of(item_sheet([rows_of(ABILITY_BENCHMARK, several, single)]))[:4] == ["red", "blue", "green", "none"]
