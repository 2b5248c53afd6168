"""Versions of a partition of incompressible images, 12 MB each: an upload of several parts."""

from __future__ import annotations

import random

import pyarrow as pa

from stablellava_assets.tables.schemas import IMAGES
from stablellava_assets_tests.painters.specs import painted, spec
from stablellava_assets_tests.tables.made_up import but

BIG = IMAGES
COUNT, SIZE = 12, 1_000_000


def big_rows(number: int) -> pa.Table:
    """Version ``number``: every row says which it is."""
    (row,) = painted(spec("((elephant))"))
    noise = random.Random(number)
    rows = [
        but(
            row,
            image_id=f"{index}",
            image={"bytes": noise.randbytes(SIZE), "path": "x.png"},
            run_id=f"version {number}",
        )
        for index in range(COUNT)
    ]
    return IMAGES.from_rows(rows)
