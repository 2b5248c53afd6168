"""How many training images and questions are those of benchmarks: per partition, and over all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprints
from stablellava_assets.filters.candidates import image_hashes_of, perceptual_hashes_of, prompts_of
from stablellava_assets.filters.embeddings.embeddings import Embeddings, vectors_of
from stablellava_assets.tables.pair_rows import Contamination, Verdict
from stablellava_assets.tables.schemas import CONTAMINATION, FILTERED_PAIRS
from stablellava_assets.tables.store import ParquetStore, Partition

_MOST_NAMED = 3


@dataclass
class Overlap:
    """What a benchmark of ``items`` items shares with the training data that it was compared with.

    ``images`` and ``questions`` are ids of training images and of pairs; ``image_items`` and ``question_items`` those
    of the items they are like.
    """

    benchmark: str
    items: int
    images: set[str] = field(default_factory=set)
    image_items: set[str] = field(default_factory=set)
    questions: set[str] = field(default_factory=set)
    question_items: set[str] = field(default_factory=set)

    @property
    def counts(self) -> list[int]:
        """Items; training images and the items they are like; pairs and the items whose questions they ask."""
        return [
            self.items,
            *map(len, (self.images, self.image_items, self.questions, self.question_items)),
        ]


def contamination_of(
    partition: Partition,
    rows: Iterable[Verdict],
    benchmarks: BenchmarkFingerprints,
    embeddings: Embeddings | None = None,
) -> pa.Table:
    """The ``contamination`` table of a partition with these verdicts, whether pairs are kept or rejected."""
    overlaps = {name: Overlap(name, items) for name, items in sorted(benchmarks.sizes.items())}
    known: set[str] = set()
    for row in rows:
        images = zip(
            row["image_ids"],
            prompts_of(row),
            image_hashes_of(row),
            perceptual_hashes_of(row),
            vectors_of(row, embeddings),
            strict=True,
        )
        for image_id, prompt, sha256, looks, vector in images:
            # Several pairs are about one image.
            if image_id not in known:
                known.add(image_id)
                for item in benchmarks.items_like(prompt, sha256, looks, vector):
                    overlaps[item.benchmark].images.add(image_id)
                    overlaps[item.benchmark].image_items.add(item.item_id)
        for item in benchmarks.items_asking(row["conversations"]):
            overlaps[item.benchmark].questions.add(row["pair_id"])
            overlaps[item.benchmark].question_items.add(item.item_id)
    return CONTAMINATION.from_rows([_row(partition, each) for each in overlaps.values()])


def _row(partition: Partition, overlap: Overlap) -> Contamination:
    ability, batch = partition
    return {
        "comparison_id": "|".join([*partition, overlap.benchmark]),
        "ability": ability,
        "batch": batch,
        "benchmark": overlap.benchmark,
        "items": overlap.items,
        "images": sorted(overlap.images),
        "image_items": sorted(overlap.image_items),
        "questions": sorted(overlap.questions),
        "question_items": sorted(overlap.question_items),
    }


@dataclass(frozen=True)
class ContaminationReport:
    """The overlap of every benchmark with all training data, and the partitions that were never compared with one."""

    overlaps: Sequence[Overlap]
    uncompared: Sequence[tuple[str, Sequence[Partition]]]

    @property
    def notices(self) -> list[str]:
        """One sentence per benchmark that batches were never compared with."""
        return [
            f"Not compared with {name} yet: {', '.join('|'.join(each) for each in partitions[:_MOST_NAMED])}"
            f"{f' and {len(partitions) - _MOST_NAMED} more' if len(partitions) > _MOST_NAMED else ''}. Materialize "
            "filtered_pairs for them."
            for name, partitions in self.uncompared
        ]


def contamination_report(store: ParquetStore, benchmarks: Iterable[str] = ()) -> ContaminationReport:
    """What ``contamination`` says of all published partitions.

    Args:
        store: the tables.
        benchmarks: further names that partitions should have been compared with.
    """
    overlaps: dict[str, Overlap] = {}
    compared: defaultdict[str, set[Partition]] = defaultdict(set, {name: set() for name in benchmarks})
    for row in CONTAMINATION.rows(store.read_all(CONTAMINATION)):
        overlap = overlaps.setdefault(row["benchmark"], Overlap(row["benchmark"], 0))
        # A benchmark may have grown since a partition was filtered.
        overlap.items = max(overlap.items, row["items"])
        for name in ("images", "image_items", "questions", "question_items"):
            getattr(overlap, name).update(row[name])
        compared[row["benchmark"]].add((row["ability"], row["batch"]))
    published = store.partitions(FILTERED_PAIRS)
    missing = {name: [each for each in published if each not in known] for name, known in sorted(compared.items())}
    return ContaminationReport(
        [overlaps[name] for name in sorted(overlaps)],
        [(name, partitions) for name, partitions in missing.items() if partitions],
    )
