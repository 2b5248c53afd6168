"""Decides which pairs of a partition are kept or rejected, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from stablellava_assets.filters.answerable import ANSWERABLE, Answerable
from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprints
from stablellava_assets.filters.candidates import Candidate, image_hashes_of, perceptual_hashes_of, prompts_of
from stablellava_assets.filters.embeddings.embeddings import Embeddings, vectors_of
from stablellava_assets.filters.findings import Finding, of_pair
from stablellava_assets.filters.near_duplicates.cyclic_gc import without_cyclic_gc
from stablellava_assets.filters.near_duplicates.kept_pairs import KeptPairs
from stablellava_assets.filters.near_duplicates.near_vectors import Vector
from stablellava_assets.filters.review.overrule import is_of_review, overrule, repeat_review
from stablellava_assets.filters.review.reviews import Review
from stablellava_assets.filters.rules.examine import add_finding, examine
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.tables.encoded_images import EncodedImages
from stablellava_assets.tables.findings import REPEATS, is_rejected
from stablellava_assets.tables.pair_rows import ComparedPair, Verdict

_FOUND_AGAIN = REPEATS | {ANSWERABLE}
"""Rules whose findings depend on what other batches keep."""


class Judged(NamedTuple):
    """Verdict rows without ``run_id``, in the order of the candidates, and how many row-rule results were reused."""

    rows: list[Verdict]
    reused: int

    @property
    def kept(self) -> list[Verdict]:
        """Pairs without a rejecting finding."""
        return [row for row in self.rows if not is_rejected(row["findings"])]

    @property
    def rejected(self) -> list[Verdict]:
        """Pairs with at least one rejecting finding."""
        return [row for row in self.rows if is_rejected(row["findings"])]


@without_cyclic_gc()
def judge(
    candidates: Sequence[Candidate],
    images: EncodedImages,
    earlier: Iterable[ComparedPair],
    benchmark: BenchmarkFingerprints,
    settings: FilterSettings,
    previous: Iterable[Verdict] = (),
    report: Callable[[str], None] = lambda line: None,
    embeddings: Embeddings | None = None,
    reviews: Mapping[str, Review] | None = None,
) -> Judged:
    """Judge the pairs of one partition.

    Args:
        candidates: the pairs, in order. Of repeated pairs, the first one that no other rule rejects is kept. If the
            settings cap the pairs that can be answered without the image, these come after all others.
        images: their images; read only if the row rules have to look at them.
        earlier: pairs kept by earlier batches, at least those that the candidates could repeat: ``filtered_pairs`` rows
            with at least ``EARLIER_COLUMNS``, in their order.
        benchmark: items that no pair may repeat.
        settings: thresholds, and which rules only add notes.
        previous: the last verdicts on this partition, kept and rejected. The row rules are not evaluated again for
            unchanged pairs.
        report: receives progress lines.
        embeddings: embeddings of the candidates and of ``earlier``; required if the settings name an embedding model.
        reviews: human decisions by pair id, which override all rules. Others no longer count as repeats of a
            pair that was rejected in review.
    """
    rows, reused = examine(candidates, images, settings, previous, report)

    def review(row: Verdict) -> None:
        if (decision := (reviews or {}).get(row["pair_id"])) is not None:
            overrule(row, decision)

    _find_repeats(rows, earlier, settings, embeddings, lambda row: _contamination(row, benchmark, embeddings), review)
    return Judged(rows, reused)


@without_cyclic_gc()
def rejudge(
    verdicts: Sequence[Verdict],
    earlier: Iterable[ComparedPair],
    settings: FilterSettings,
    embeddings: Embeddings | None = None,
) -> Judged:
    """Verdicts on the same pairs if ``earlier`` is what earlier batches kept; all findings stay but repeats, and which
    pairs are above a quota.

    Args:
        verdicts: kept and rejected pairs of a partition, in the order in which they were judged.
        earlier: as for :func:`judge`.
        settings: as for :func:`judge`; of them, only what counts as a repeat and quotas matter.
        embeddings: as for :func:`judge`.
    """
    reviews = {row["pair_id"]: [found for found in row["findings"] if is_of_review(found)] for row in verdicts}
    rows: list[Verdict] = [
        {
            **row,
            "findings": [
                {**found} for found in row["findings"] if found["rule"] not in _FOUND_AGAIN and not is_of_review(found)
            ],
        }
        for row in verdicts
    ]
    _find_repeats(
        rows, earlier, settings, embeddings, lambda row: (), lambda row: repeat_review(row, reviews[row["pair_id"]])
    )
    return Judged(rows, len(rows))


def _find_repeats(
    rows: Sequence[Verdict],
    earlier: Iterable[ComparedPair],
    settings: FilterSettings,
    embeddings: Embeddings | None,
    others: Callable[[Verdict], Iterable[Finding]],
    review: Callable[[Verdict], None],
) -> None:
    """Complete the verdicts of a partition: findings of ``others``, then repeats, then what the text gives away, then
    the ``review``."""
    earlier = list(earlier)
    kept = KeptPairs(settings.duplicates, embeddings)
    kept.expect([*earlier, *rows])
    for pair in earlier:
        kept.add(pair)
    answerable = Answerable(rows, settings)
    for row in answerable.last(rows):
        for finding in [*others(row), *kept.repeated_by(row)]:
            add_finding(row, finding, settings)
        if (found := answerable.finding(row)) is not None:
            row["findings"].append(found)
        review(row)
        if not is_rejected(row["findings"]):
            kept.add(row)
            answerable.keep(row)


def _contamination(row: Verdict, benchmark: BenchmarkFingerprints, embeddings: Embeddings | None) -> Iterator[Finding]:
    images = zip(
        prompts_of(row), image_hashes_of(row), perceptual_hashes_of(row), vectors_of(row, embeddings), strict=True
    )
    yield from of_pair([list(_contaminated(benchmark, *image)) for image in images])
    if (repeated := benchmark.item_with_question(row["conversations"])) is not None:
        item, question = repeated
        yield Finding("benchmark_question", f"Benchmark item {item} asks this as well: {question}")


def _contaminated(
    benchmark: BenchmarkFingerprints, prompt: str, sha256: str, perceptual_hash: str, vector: Vector | None
) -> Iterator[Finding]:
    if (item := benchmark.item_with_prompt(prompt)) is not None:
        yield Finding("contaminated_prompt", f"The prompt is that of benchmark item {item}.")
    if (found := benchmark.item_with_picture(prompt, sha256, perceptual_hash)) is not None:
        item, bits = found
        explanation = f"The picture looks like that of benchmark item {item}: {bits} of 64 bits differ."
        yield Finding("contaminated_image", explanation)
    elif (alike := benchmark.item_with_lookalike(vector)) is not None:
        item, cosine = alike
        explanation = f"The picture shows what that of benchmark item {item} does: their cosine is {cosine:.3f}."
        yield Finding("contaminated_image", explanation)
