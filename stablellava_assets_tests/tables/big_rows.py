"""Versions of a partition of incompressible images, 9 MB each: an upload of several parts."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from stablellava_assets.tables.schemas import IMAGES
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets_tests.painters.specs import painted, spec
from stablellava_assets_tests.tables.made_up import but

BIG = IMAGES
COUNT, SIZE = 9, 1_000_000


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


def publish_for_ever(url: str, environment: Mapping[str, str], told: Path) -> None:
    """Publish one version after the other; how many lines ``told`` has is how many there are. Does not return."""
    os.environ.update(environment)
    # What a shell starts in the background ignores Ctrl+C, and so would this.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    store, number = ParquetStore(url), 0
    with told.open("a") as file:
        while True:
            print("published", number, file=file, flush=True)
            number += 1
            store.publish(BIG, ("animal", "0001"), big_rows(number))
