"""Batches of pairs, published as a run publishes them, and what an exhaustive comparison says of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.filters.near_duplicates.earlier_pairs import EarlierPairs
from stablellava_assets.filters.review.reviews import Review
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.tables.schemas import (
    COMPARISONS,
    DIALOGUES,
    FILTERED_PAIRS,
    IMAGES,
    REJECTED_PAIRS,
)
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets.tables.table import AnyTable
from stablellava_assets_tests.filters.pairs import NO_BENCHMARK, candidate, judge
from stablellava_assets_tests.tables.made_up import Row, but

_SCENES = ["grove", "zoo", "night sky", "waterside", "farm yard", "lava field", "market"]
_LIGHTS = ["at dawn", "at dusk", "in fog", "dramatic lighting", "soft light", "golden hour"]

_NO_DIALOGUE: Row = {column.name: None for column in DIALOGUES.columns} | {"status": "made", "author": "embedded"}


def random_batch(name: str, size: int, chance: random.Random) -> list[Candidate]:
    """Pairs of few subjects, scenes and answers, so that many of them repeat or nearly repeat others."""
    return [_random_pair(f"{name}-{number}", chance) for number in range(size)]


def _random_pair(name: str, chance: random.Random) -> Candidate:
    subject = chance.choice(["koala", "owl"])
    tail = (
        f"{chance.choice(_SCENES)}, {chance.choice(_LIGHTS)}, intricate details, highly detailed, "
        f"{chance.choice('48')}k"
    )
    described: dict[str, Any] = {"kind": "what", "expected": subject, "answer": f"It is {subject}."}
    if chance.random() < 0.7:
        described = {
            "answer": (
                f"The {subject} dozes in the {chance.choice(_SCENES)} {chance.choice(_LIGHTS)}, "
                f"{'as always' * chance.randrange(2)}."
            )
        }
    return candidate(
        name,
        prompt=f"(({subject})), {tail}",
        subject=subject,
        looks=f"{0xABCDEF12345 ^ (1 << chance.randrange(64)):016x}" if chance.random() < 0.1 else None,
        **described,
    )


class Published:
    """A store of real Parquet files that batches are judged against and published to."""

    def __init__(self, folder: Any, settings: FilterSettings, reviews: Mapping[str, Review] | None = None) -> None:
        self.settings = settings
        self.reviews = reviews
        self.folder = folder
        self.store = ParquetStore(str(folder / "tables"))

    @property
    def earlier(self) -> EarlierPairs:
        """Made anew, as by every run."""
        return EarlierPairs(self.store, self.folder / "index", self.settings.duplicates)

    def judge(self, partition: Partition, candidates: list[Candidate]) -> list[Row]:
        """Verdicts by way of the index, as the asset comes to them; what was kept is published."""
        self.paint(partition, candidates)
        earlier = self.earlier
        found = earlier.repeatable_by(partition, [each.compared for each in candidates])
        judged = judge(
            candidates,
            found.pairs,
            NO_BENCHMARK,
            self.settings,
            embeddings=earlier.embeddings,
            reviews=self.reviews,
        )
        self._publish(DIALOGUES, partition, [{**_NO_DIALOGUE, **each.dialogue} for each in candidates])
        self._publish(REJECTED_PAIRS, partition, judged.rejected)
        kept = _rows(FILTERED_PAIRS, partition, judged.kept)
        earlier.index(partition, kept)
        self.store.publish(COMPARISONS, partition, earlier.comparison(partition, judged.rows, kept, found))
        self.store.publish(FILTERED_PAIRS, partition, kept)
        return judged.rows

    def publish(self, partition: Partition, kept: Iterable[Row]) -> None:
        """Publish kept pairs as earlier versions did."""
        self._publish(FILTERED_PAIRS, partition, kept)

    def _publish(self, table: AnyTable, partition: Partition, rows: Iterable[Row]) -> None:
        self.store.publish(table, partition, _rows(table, partition, rows))

    def paint(self, partition: Partition, candidates: Iterable[Candidate]) -> None:
        """Publish the pictures of a batch."""
        ability, batch = partition
        rest = {column.name: None for column in IMAGES.columns}
        rows: list[Row] = [
            {**rest, **each.image, "ability": ability, "batch": batch, "status": "made", "ignored_keywords": []}
            for each in {each.image["image_id"]: each for pair in candidates for each in pair.painted}.values()
        ]
        self.store.publish(IMAGES, partition, IMAGES.from_rows(rows))


def _rows(table: AnyTable, partition: Partition, rows: Iterable[Row]) -> pa.Table:
    ability, batch = partition
    return table.from_rows([but(row, ability=ability, batch=batch, run_id="run") for row in rows])


def against_all(batches: list[list[Candidate]], settings: FilterSettings) -> list[list[Row]]:
    """Verdicts when each batch is held against everything that those before it kept."""
    kept: list[Row] = []
    verdicts = []
    for candidates in batches:
        judged = judge(candidates, kept, NO_BENCHMARK, settings)
        kept += judged.kept
        verdicts.append(judged.rows)
    return verdicts
