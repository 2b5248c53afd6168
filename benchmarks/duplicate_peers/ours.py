"""Deduplicates a JSON Lines file of prompts as the pipeline does: batch after batch, each against the published keys of
all before."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

from processor_time import processor_seconds

from stablellava_assets.filters.near_duplicates.cyclic_gc import without_cyclic_gc
from stablellava_assets.filters.near_duplicates.earlier_pairs import EarlierPairs
from stablellava_assets.filters.near_duplicates.kept_pairs import KeptPairs
from stablellava_assets.filters.settings import DuplicateSettings
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.schemas import FILTERED_PAIRS
from stablellava_assets.tables.store import ParquetStore

BATCH = 10_000
SMALL_BATCH = 100
_UNJUDGED: dict[str, Any] = dict.fromkeys(FILTERED_PAIRS.schema.names)


def pair(number: int, row: dict[str, str]) -> dict[str, Any]:
    """A pair with this prompt. Its picture is like no other, and its question closed: only prompts can repeat."""
    return {
        "pair_id": row["id"],
        "spec_ids": [row["id"]],
        "image_ids": [row["id"]],
        "prompt": row["text"],
        "subject": row["subject"],
        "conversations": [],
        "expected": "",
        "image_sha256": row["id"],
        "perceptual_hash": content_key(number)[:16],
    }


@without_cyclic_gc()
def judged(
    batch: list[dict[str, Any]], repeatable: list[dict[str, Any]], settings: DuplicateSettings
) -> list[dict[str, Any]]:
    """What of a batch repeats nothing, as the filter stage finds it."""
    seen = KeptPairs(settings)
    seen.expect([*repeatable, *batch])
    for other in repeatable:
        seen.add(other)
    kept = []
    for row in batch:
        if not any(seen.repeated_by(row)):
            seen.add(row)
            kept.append(row)
    return kept


def main(source: Path, kept_ids: Path) -> None:
    """Write the ids of the kept rows; print what a small batch takes in the end, and wall and
    processor seconds of all before."""
    settings = DuplicateSettings()
    started, used = time.perf_counter(), processor_seconds()
    with tempfile.TemporaryDirectory() as folder, source.open() as lines, kept_ids.open("w") as out:
        store = ParquetStore(f"{folder}/tables")
        earlier = EarlierPairs(store, Path(folder), settings)
        number = batches = 0
        while chunk := [json.loads(line) for line in islice(lines, BATCH)]:
            batch = [pair(number + at, row) for at, row in enumerate(chunk)]
            number += len(batch)
            batches += 1
            partition = "prompts", f"{batches:04d}"
            found = earlier.repeatable_by(partition, batch)
            kept = judged(batch, found.pairs, settings)
            rows = FILTERED_PAIRS.from_rows([{**_UNJUDGED, **row, "row_key": row["pair_id"]} for row in kept])
            earlier.index(partition, rows)
            store.publish(FILTERED_PAIRS, partition, rows)
            out.writelines(f"{row['pair_id']}\n" for row in kept)
            last = batch
        took = f"{time.perf_counter() - started:.2f} {processor_seconds() - used:.2f}"
        started = time.perf_counter()
        earlier.repeatable_by(("prompts", "9999"), last[:SMALL_BATCH])
        print(f"what {SMALL_BATCH} rows may repeat is found in {1000 * (time.perf_counter() - started):.0f} ms")
    print(took)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
