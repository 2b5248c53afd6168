"""Fingerprints of everything that is scored, and of what the profile names beside it, for decontamination."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from stablellava_assets.evaluation.settings import SuiteSettings
from stablellava_assets.evaluation.suites.fingerprints import suite_fingerprints, suite_images
from stablellava_assets.filters.avoided import AvoidedImages
from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprints, ItemToAvoid, with_hashes
from stablellava_assets.filters.embeddings.embeddings import Embeddings
from stablellava_assets.filters.kept_prints import KeptPrints
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.tables.encoded_images import EncodedImages


def benchmark_fingerprints(
    items: Sequence[ItemToAvoid],
    images: EncodedImages,
    suites: Sequence[SuiteSettings],
    filters: FilterSettings,
    folder: Path,
    embeddings: Embeddings | None = None,
) -> BenchmarkFingerprints:
    """The fingerprints that training pairs are compared with.

    Args:
        items: the rows of ``ability_benchmark``.
        images: their images.
        suites: the published benchmarks that are scored.
        filters: thresholds, and further images to avoid.
        folder: where fingerprints are kept between runs.
        embeddings: the image embeddings of pairs, if there are any. Synthesized items are not compared by them: many
            show the same subject on purpose.

    Raises:
        SuiteError: a file of a published benchmark is invalid.
        AvoidedError: images under ``filters.avoid`` cannot be read.
        PretrainedModelError: the embedding model cannot be loaded.
    """
    avoided = AvoidedImages(filters.avoid, KeptPrints(folder))
    published = [*suite_fingerprints(suites, folder), *avoided.fingerprints()]
    hashed = with_hashes(items, images)
    embedding = filters.duplicates.embedded_images
    if embedding is None or embeddings is None:
        return BenchmarkFingerprints(hashed, filters.contamination_bits, published)
    photographs = [item for item in hashed if item["prompt"] is None]

    def read(wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        yield from _photographs(photographs, images, wanted)
        yield from suite_images(suites, wanted)
        yield from avoided.images(wanted)

    shown = [item["sha256"] for item in photographs if item["sha256"] is not None]
    vectors = embeddings.of_images([*shown, *(each.sha256 for each in published)], read)
    return BenchmarkFingerprints(hashed, filters.contamination_bits, published, vectors, embedding.near_benchmark_image)


def _photographs(
    items: Sequence[ItemToAvoid], images: EncodedImages, wanted: Collection[str]
) -> Iterator[tuple[str, bytes]]:
    shown = {item["item_id"] for item in items if item["sha256"] in wanted}
    for _, encoded in images(shown):
        yield hashlib.sha256(encoded).hexdigest(), encoded
