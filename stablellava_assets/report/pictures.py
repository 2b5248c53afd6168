"""Images in the report as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TypedDict

import pyarrow as pa
import pyarrow.compute as pc

from stablellava_assets.pictures.thumbnails import small_picture
from stablellava_assets.tables.pair_rows import EncodedImage
from stablellava_assets.tables.reading import bytes_of
from stablellava_assets.tables.schemas import ABILITY_BENCHMARK
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.table import columns_of, rows_of

_MOST_CHARACTERS = 2_000_000
"""Maximum size of all images of a page, so that it opens on a phone."""


class _Item(TypedDict):
    item_id: str
    image: EncodedImage | None


def inline_pictures(store: ParquetStore, item_ids: Sequence[str], side: int) -> dict[str, str]:
    """The images of benchmark items as WebP data URIs of at most ``side`` pixels, in the order of
    ``item_ids`` until the page is full.

    Images that no longer exist or cannot be decoded are left out.
    """
    small: dict[str, str] = {}
    for partition in store.partitions(ABILITY_BENCHMARK):
        items = store.read(ABILITY_BENCHMARK, partition, columns_of(_Item))
        if items is not None:
            wanted = items.filter(pc.is_in(items["item_id"], pa.array(item_ids, pa.string())))
            for row in rows_of(_Item, wanted):
                if (uri := _data_uri(bytes_of(row["image"]), side)) is not None:
                    small[row["item_id"]] = uri
    room, placed = _MOST_CHARACTERS, {}
    for item_id in item_ids:
        if item_id in small and len(small[item_id]) <= room:
            placed[item_id] = small[item_id]
            room -= len(small[item_id])
    return placed


def _data_uri(encoded: bytes | None, side: int) -> str | None:
    if (small := small_picture(encoded, side)) is None:
        return None
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=82)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
