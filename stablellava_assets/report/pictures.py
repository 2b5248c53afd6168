"""Images in the report as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from stablellava_assets.pictures.thumbnails import small_picture
from stablellava_assets.tables.encoded_images import images_of_partitions
from stablellava_assets.tables.schemas import ABILITY_BENCHMARK
from stablellava_assets.tables.store import ParquetStore

_MOST_CHARACTERS = 2_000_000
"""Maximum size of all images of a page, so that it opens on a phone."""


def inline_pictures(store: ParquetStore, item_ids: Sequence[str], side: int) -> dict[str, list[str]]:
    """The images of benchmark items as WebP data URIs of at most ``side`` pixels, in the order of
    ``item_ids`` until the page is full.

    Items of which an image no longer exists or cannot be decoded are left out.
    """
    images = images_of_partitions(store, ABILITY_BENCHMARK, store.partitions(ABILITY_BENCHMARK))
    drawn = ((item_id, _data_uri(encoded, side)) for item_id, encoded in images(item_ids))
    small = {item_id: [uri for _, uri in uris] for item_id, uris in groupby(drawn, key=itemgetter(0))}
    room, placed = _MOST_CHARACTERS, {}
    for item_id in item_ids:
        uris = [uri for uri in small.get(item_id, ()) if uri is not None]
        if uris and len(uris) == len(small[item_id]) and sum(map(len, uris)) <= room:
            placed[item_id] = uris
            room -= sum(map(len, uris))
    return placed


def _data_uri(encoded: bytes, side: int) -> str | None:
    if (small := small_picture(encoded, side)) is None:
        return None
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=82)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
