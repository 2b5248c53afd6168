"""The ``filtered_pairs`` asset, which also publishes ``rejected_pairs``."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import dagster as dg
import pyarrow as pa

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.checks.filtered_pairs import SUITE
from stablellava_assets.defs.alignment_scores import AlignmentScores
from stablellava_assets.defs.metadata import Metadata, location
from stablellava_assets.defs.previews import pair_sheet
from stablellava_assets.defs.project import stage_asset
from stablellava_assets.defs.published import Tables
from stablellava_assets.defs.spending import waiting_for_budget
from stablellava_assets.defs.stage import Events, PartitionResult, Stage, partitions_of
from stablellava_assets.evaluation.fingerprints import benchmark_fingerprints
from stablellava_assets.filters.benchmark_fingerprints import ItemToAvoid
from stablellava_assets.filters.candidates import Candidate, PaintedPrompt
from stablellava_assets.filters.contamination import contamination_of
from stablellava_assets.filters.judge import judge
from stablellava_assets.filters.near_duplicates.earlier_pairs import EarlierPairs
from stablellava_assets.filters.review.overrule import was_overruled
from stablellava_assets.filters.review.reviews import Review, ReviewError, read_reviews
from stablellava_assets.gallery.folder import Gallery, GalleryError
from stablellava_assets.models.folders import ModelFolders
from stablellava_assets.profiles.data_folder import DataFolder
from stablellava_assets.profiles.profile import Profile
from stablellava_assets.tables.encoded_images import PublishedImages
from stablellava_assets.tables.findings import REJECTS, rules_with
from stablellava_assets.tables.pair_rows import DialogueToJudge, ImageToJudge, SpecToJudge, Verdict
from stablellava_assets.tables.reading import only_made, texts_of
from stablellava_assets.tables.schemas import (
    ABILITY_BENCHMARK,
    ALIGNMENT_SCORES,
    COMPARISONS,
    CONTAMINATION,
    DIALOGUES,
    FILTERED_PAIRS,
    IMAGES,
    PROMPT_SPECS,
    REJECTED_PAIRS,
)
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets.tables.table import Table, columns_of, rows_of

_UNKNOWN_SHOWN = 5


@stage_asset(
    SUITE,
    {"python", "parquet"},
    ["prompt_specs", "images", "dialogues", "ability_benchmark"],
    partitioned=True,
    description=f"{SUITE.table.description} Rejected pairs are in rejected_pairs, with every reason.",
)
def filtered_pairs(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[Tables],
    profile: dg.ResourceParam[Profile],
    catalog: dg.ResourceParam[Catalog],
    folder: dg.ResourceParam[DataFolder],
    gallery: dg.ResourceParam[Gallery],
    models: dg.ResourceParam[ModelFolders],
) -> Events:
    """Filter the pairs: by rules, against the benchmark, and against the kept pairs of earlier batches."""
    stage, store, settings = Stage(context, tables, SUITE), tables.store, profile.filters
    prompt_specs, painted, dialogues = (tables.upstream(table) for table in (PROMPT_SPECS, IMAGES, DIALOGUES))
    ability_benchmark = tables.upstream(ABILITY_BENCHMARK)
    alignment = AlignmentScores(settings.alignment, catalog, models, stage, store, context.log)
    reviews = _reviews(settings.reviews, store, context.log)
    earlier = EarlierPairs(store, folder.index, settings.duplicates)
    benchmark = benchmark_fingerprints(
        rows_of(ItemToAvoid, ability_benchmark.read_all(columns_of(ItemToAvoid))),
        ability_benchmark.images,
        profile.benchmark.external,
        settings,
        folder.index / "benchmarks",
        earlier.embeddings,
    )

    def make(partition: Partition) -> PartitionResult:
        specs, written = prompt_specs.read(partition), dialogues.read(partition)
        rows = painted.read(partition, [*columns_of(ImageToJudge), "status"])
        images = PublishedImages(store, IMAGES, partition)
        candidates, scores = alignment.for_partition(partition, _candidates(partition, specs, rows, written), images)
        *published, compared_before, contamination_before = (
            store.read(table, partition) for table in (FILTERED_PAIRS, REJECTED_PAIRS, COMPARISONS, CONTAMINATION)
        )
        previous = [row for data in published if data is not None for row in FILTERED_PAIRS.rows(data)]
        repeatable = earlier.repeatable_by(partition, [candidate.compared for candidate in candidates])
        judged = judge(
            candidates,
            images,
            repeatable.pairs,
            benchmark,
            settings,
            previous,
            context.log.info,
            earlier.embeddings,
            reviews,
        )
        kept = _with_runs(FILTERED_PAIRS, judged.kept, previous, context.run_id)
        rejected = _with_runs(REJECTED_PAIRS, judged.rejected, previous, context.run_id)
        compared = earlier.comparison(partition, judged.rows, kept, repeatable)
        contamination = contamination_of(partition, judged.rows, benchmark, earlier.embeddings)
        earlier.index(partition, kept)
        later = earlier.later_and_outdated(partition, kept)
        if later:
            context.log.info(
                f"{', '.join(map('|'.join, later))}: filtered before {'|'.join(partition)}. Their repeats are found "
                "again whenever pairs are trained on or exported; materialize filtered_pairs for them to publish them "
                "so."
            )
        made = [kept, rejected, compared, contamination]
        unchanged = made == [*published, compared_before, contamination_before] and (scores is None or scores.unchanged)
        # What a sheet shows lies anywhere in the table, so that reading it again is worth it only if it changed.
        sheets: Metadata = (
            {}
            if unchanged
            else {
                "kept": pair_sheet(judged.kept, images),
                "turned away": pair_sheet(judged.rejected, images),
            }
        )
        return PartitionResult(
            data=kept,
            counts={
                "rows": kept.num_rows,
                "rejected": rejected.num_rows,
                "reused": judged.reused,
                "computed": len(judged.rows) - judged.reused,
                **({"scored": scores.computed} if scores else {}),
                **({"overruled": sum(map(was_overruled, judged.rows))} if reviews else {}),
            },
            unchanged=unchanged,
            beside=[
                (REJECTED_PAIRS, rejected),
                *([(ALIGNMENT_SCORES, scores.data)] if scores else []),
                (COMPARISONS, compared),
                (CONTAMINATION, contamination),
            ],
            judged=pa.concat_tables([kept, rejected]),
            metadata={
                "compared with": ", ".join(f"{size:,} items of {name}" for name, size in benchmark.sizes.items()),
                "earlier batches compared with": len(repeatable.earlier),
                **({"to be compared again": ", ".join(map("|".join, later))} if later else {}),
                "reasons": dg.MetadataValue.md(_reasons(judged.rejected)),
                **sheets,
            },
            waiting=waiting_for_budget(specs) + waiting_for_budget(written),
        )

    yield from stage.run(
        earlier.in_order(partitions_of(context)), make, lambda: _gallery(gallery, profile.gallery.pairs_per_batch)
    )


def _reviews(files: Sequence[Path], store: ParquetStore, log: dg.DagsterLogManager) -> dict[str, Review]:
    """The review decisions; those about pairs that do not exist are reported.

    Raises:
        dagster.Failure: a file of decisions contains a mistake.
    """
    try:
        reviews = read_reviews(files)
    except ReviewError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    if reviews:
        known = texts_of(store.read_all(DIALOGUES, columns=["pair_id"]), "pair_id")
        unknown = sorted(reviews.keys() - set(known))
        log.info(f"{len(reviews)} pairs have human decisions")
        if unknown:
            shown = ", ".join(unknown[:_UNKNOWN_SHOWN])
            more = f" and {len(unknown) - _UNKNOWN_SHOWN} more" if len(unknown) > _UNKNOWN_SHOWN else ""
            log.warning(f"{len(unknown)} of these decisions are about pairs that do not exist: {shown}{more}")
    return reviews


def _gallery(gallery: Gallery, pairs_per_batch: int) -> Metadata:
    """Update the gallery page.

    Raises:
        dagster.Failure: it could not be written. The pairs are published all the same.
    """
    if not pairs_per_batch:
        return {}
    try:
        gallery.publish()
    except GalleryError as error:
        raise dg.Failure(description=str(error)) from error
    return {"gallery": location(gallery.page)}


def _candidates(partition: Partition, specs: pa.Table, images: pa.Table, dialogues: pa.Table) -> list[Candidate]:
    """Every dialogue that was made, with its prompts and images.

    Raises:
        dagster.Failure: a dialogue refers to a prompt or an image that no longer exists.
    """
    spec_of = {row["spec_id"]: row for row in rows_of(SpecToJudge, only_made(specs))}
    image_of = {row["image_id"]: row for row in rows_of(ImageToJudge, only_made(images))}
    candidates = []
    for dialogue in rows_of(DialogueToJudge, only_made(dialogues)):
        try:
            first, *further = (
                PaintedPrompt(spec_of[spec_id], image_of[image_id])
                for spec_id, image_id in zip(dialogue["spec_ids"], dialogue["image_ids"], strict=True)
            )
        except KeyError as error:
            raise dg.Failure(
                description=f"dialogues of {'|'.join(partition)} are older than their prompts or images: "
                f"{dialogue['pair_id']} is about one that is gone. Materialize dialogues for this partition again.",
                allow_retries=False,
            ) from error
        candidates.append(Candidate(dialogue, *first, further=tuple(further)))
    return candidates


def _with_runs(table: Table[Verdict], rows: Iterable[Verdict], previous: Iterable[Verdict], run_id: str) -> pa.Table:
    """Verdicts as a table; unchanged ones keep their run id."""
    before = {row["pair_id"]: row for row in previous}

    def with_run(row: Verdict) -> Verdict:
        earlier = before.get(row["pair_id"])
        same = earlier is not None and {**row, "run_id": earlier["run_id"]} == earlier
        return earlier if earlier is not None and same else {**row, "run_id": run_id}

    return table.from_rows([with_run(row) for row in rows])


def _reasons(rejected: Iterable[Verdict]) -> str:
    counts = Counter(reason for row in rejected for reason in rules_with(REJECTS, row["findings"]))
    lines = [f"| {reason} | {count} |" for reason, count in counts.most_common()]
    return "\n".join(["| reason | pairs |", "|---|---:|", *lines]) if lines else "nothing was turned away"
