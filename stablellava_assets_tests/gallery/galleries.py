"""Galleries of a test's own pairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.gallery.folder import Gallery
from stablellava_assets.gallery.settings import GallerySettings
from stablellava_assets.tables.places import place_at
from stablellava_assets.tables.schemas import FILTERED_PAIRS, IMAGES, REJECTED_PAIRS
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets_tests.filters.pairs import judged, noise_png
from stablellava_assets_tests.published_pairs import animal, publish_rows
from stablellava_assets_tests.verdicts import found


def gallery_of(
    store: ParquetStore,
    folder: Path,
    *,
    every_pair: bool = False,
    filters: FilterSettings | None = None,
    **settings: Any,
) -> Gallery:
    place = place_at(folder, "storage.gallery")
    return Gallery(place, store, filters or FilterSettings(), GallerySettings(**settings), every_pair=every_pair)


def many_pairs(root: Path, count: int) -> ParquetStore:
    """``count`` pairs in four batches, four about a picture, one in ten rejected."""
    store = ParquetStore(str(root))
    (pattern,) = judged(animal("koala"))
    for number, ability in enumerate(("animal", "color", "food", "plant")):
        rows = []
        for index in range(count // 4):
            pair_id = f"{number}{index:07d}"
            value = f"Pair {pair_id} shows a koala."
            rejected = index % 10 == 0
            rows.append(
                pattern
                | {
                    "pair_id": pair_id,
                    "image_ids": [f"{ability}-{index // 4}"],
                    "conversations": [
                        {"from": "human", "value": "<image>\nWhat is it?"},
                        {"from": "gpt", "value": value},
                    ],
                    "findings": found("repeated_prompt") if rejected else [],
                }
            )
        pictures = [
            {"image_id": f"{ability}-{index}", "image": {"bytes": noise_png(f"{ability}-{index}", 12), "path": None}}
            for index in range(count // 16)
        ]
        publish_rows(store, FILTERED_PAIRS, (ability, "0001"), [row for row in rows if not row["findings"]])
        publish_rows(store, REJECTED_PAIRS, (ability, "0001"), [row for row in rows if row["findings"]])
        publish_rows(store, IMAGES, (ability, "0001"), pictures)
    return store
