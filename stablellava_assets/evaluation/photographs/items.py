"""Real photographs as benchmark items."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stablellava_assets.evaluation.photographs.records import PhotographRecord
from stablellava_assets.pictures.decoding import rendered_otherwise, upright
from stablellava_assets.pictures.encoding import perceptual_hash
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.rows import PlannedRow
from stablellava_assets.tables.schemas import FAILED, MADE
from stablellava_assets.tables.score_rows import BenchmarkItem, ItemColumns

PHOTOGRAPHS = "photos"
"""Name of the benchmark of real photographs."""


@dataclass(frozen=True)
class PhotographedItem:
    """Inputs of an item: the file of its image, and its question."""

    path: Path
    question: ItemColumns


def plan_photographs(listed: Sequence[PhotographRecord], ability: str) -> list[PlannedRow[PhotographedItem]]:
    """The items of an ability. An item is identified by its image's bytes and its question, not by the file's path.

    Raises:
        OSError: an image cannot be read.
    """
    planned: dict[str, PlannedRow[PhotographedItem]] = {}
    for one in listed:
        photograph = one.photograph
        if photograph.ability != ability:
            continue
        encoded = one.path.read_bytes()
        sha256 = hashlib.sha256(encoded).hexdigest()
        item_id = content_key("benchmark item", PHOTOGRAPHS, ability, photograph.kind, sha256, photograph.question)
        question: ItemColumns = {
            "benchmark": PHOTOGRAPHS,
            "ability": ability,
            "question_kind": photograph.kind,
            "question": photograph.question,
            "options": list(photograph.options),
            "accepted": list(photograph.accepted),
            "refused": list(photograph.all_refused),
        }
        row_key = content_key("benchmark row", question, sha256, *rendered_otherwise(encoded))
        # A copy of an image under another name with the same question is the same item.
        planned.setdefault(item_id, PlannedRow(item_id, row_key, PhotographedItem(one.path, question)))
    return list(planned.values())


def make_photographs(planned: Sequence[PlannedRow[PhotographedItem]]) -> Iterable[BenchmarkItem]:
    """Yield ``ability_benchmark`` rows; images keep their encoding."""
    for row in planned:
        encoded, reason = row.inputs.path.read_bytes(), None
        try:
            hash_of_picture = perceptual_hash(upright(encoded))
        except ValueError as error:
            hash_of_picture, reason = None, f"{row.inputs.path} cannot be decoded: {error}"
        yield {
            "item_id": row.row_id,
            **row.inputs.question,
            "prompt": None,
            "seed": None,
            "image": {"bytes": encoded, "path": row.inputs.path.name},
            "sha256": hashlib.sha256(encoded).hexdigest(),
            "perceptual_hash": hash_of_picture,
            "further_images": None,
            "further_sha256": None,
            "further_perceptual_hashes": None,
            "row_key": row.row_key,
            "status": MADE if reason is None else FAILED,
            "reason": reason,
        }
