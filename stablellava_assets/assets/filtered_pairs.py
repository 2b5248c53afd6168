"""The ``filtered_pairs`` asset, and ``rejected_pairs`` beside it."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from stablellava_assets.assets.alignment_scores import AlignmentScores
from stablellava_assets.assets.previews import pair_sheet
from stablellava_assets.assets.project import ONE_RUN, OWNERS, PARTITIONS, check_specs, column_schema, explained
from stablellava_assets.assets.published import Published
from stablellava_assets.assets.spending import waiting_for_budget
from stablellava_assets.assets.stage import Events, Made, Stage, partitions_of
from stablellava_assets.checks.filtered_pairs import SUITE
from stablellava_assets.evaluation.suites.items import SuiteError
from stablellava_assets.evaluation.suites.prints import suite_prints
from stablellava_assets.filters.benchmark_prints import BENCHMARK_COLUMNS, BenchmarkPrints, Print
from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.filters.earlier import EarlierPairs
from stablellava_assets.filters.judge import judge
from stablellava_assets.filters.overrule import was_overruled
from stablellava_assets.filters.reviews import Review, ReviewError, read_reviews
from stablellava_assets.gallery.folder import GalleryError
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.rows import Row
from stablellava_assets.tables.schemas import ALIGNMENT_SCORES, DIALOGUES, FILTERED_PAIRS, MADE, REJECTED_PAIRS
from stablellava_assets.tables.store import Partition
from stablellava_assets.tables.table import Table

_UNKNOWN_SHOWN = 5


@dg.asset(
    partitions_def=PARTITIONS,
    backfill_policy=ONE_RUN,
    group_name="filtering",
    owners=OWNERS,
    kinds={"python", "parquet"},
    metadata=column_schema(SUITE.table),
    check_specs=check_specs(SUITE),
    description=f"{SUITE.table.description} Rejected pairs are in rejected_pairs, with every reason.",
)
@explained
def filtered_pairs(
    context: dg.AssetExecutionContext,
    prompt_specs: Published,
    images: Published,
    dialogues: Published,
    ability_benchmark: Published,
    workspace: dg.ResourceParam[Workspace],
) -> Events:
    """Filter the pairs: by rules, against the benchmark, and against the kept pairs of earlier batches."""
    stage = Stage(context, workspace, SUITE)
    settings = workspace.profile.filters
    alignment = AlignmentScores(context, workspace, stage)
    reviews = _reviews(context, workspace)
    items = ability_benchmark.read_all(list(BENCHMARK_COLUMNS)).to_pylist()
    published = _published(workspace)
    benchmark = BenchmarkPrints(items, settings.contamination_bits, published)
    earlier = EarlierPairs(workspace.store, workspace.data / "index", settings.duplicates)

    def make(partition: Partition) -> Made:
        specs, written = prompt_specs.read(partition), dialogues.read(partition)
        candidates, scores = alignment.of(partition, _candidates(partition, specs, images.read(partition), written))
        published = [workspace.store.read(table, partition) for table in (FILTERED_PAIRS, REJECTED_PAIRS)]
        previous = [row for data in published if data is not None for row in data.to_pylist()]
        repeatable = earlier.repeatable_by(partition, candidates)
        judged = judge(
            candidates, repeatable, benchmark, settings, previous, context.log.info, earlier.meanings, reviews
        )
        kept = _with_runs(FILTERED_PAIRS, judged.kept, previous, context.run_id)
        rejected = _with_runs(REJECTED_PAIRS, judged.rejected, previous, context.run_id)
        pictures = {candidate.image["image_id"]: candidate.image["image"]["bytes"] for candidate in candidates}
        return Made(
            data=kept,
            counts={
                "rows": kept.num_rows,
                "rejected": rejected.num_rows,
                "reused": judged.reused,
                "computed": len(judged.rows) - judged.reused,
                **({"scored": scores.computed} if scores else {}),
                **({"overruled": sum(map(was_overruled, judged.rows))} if reviews else {}),
            },
            unchanged=[kept, rejected] == published and (scores is None or scores.unchanged),
            beside=[(REJECTED_PAIRS, rejected), *([(ALIGNMENT_SCORES, scores.data)] if scores else [])],
            judged=pa.concat_tables([kept, rejected]),
            metadata={
                "compared with": f"{len(items)} items of the project's benchmark, {len(published)} of published ones",
                "reasons": dg.MetadataValue.md(_reasons(judged.rejected)),
                "kept": pair_sheet(judged.kept, pictures),
                "turned away": pair_sheet(judged.rejected, pictures),
            },
            waiting=waiting_for_budget(specs) + waiting_for_budget(written),
        )

    yield from stage.run(earlier.in_order(partitions_of(context)), make, lambda: _gallery(workspace))


def _reviews(context: dg.AssetExecutionContext, workspace: Workspace) -> dict[str, Review]:
    """What people decided; decisions about pairs that do not exist are reported.

    Raises:
        dagster.Failure: a file of decisions has a mistake.
    """
    try:
        reviews = read_reviews(workspace.profile.filters.reviews)
    except ReviewError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    if reviews:
        known = workspace.store.read_all(DIALOGUES, columns=["pair_id"])["pair_id"].to_pylist()
        unknown = sorted(reviews.keys() - set(known))
        context.log.info(f"{len(reviews)} pairs have human decisions")
        if unknown:
            shown = ", ".join(unknown[:_UNKNOWN_SHOWN])
            more = f" and {len(unknown) - _UNKNOWN_SHOWN} more" if len(unknown) > _UNKNOWN_SHOWN else ""
            context.log.warning(f"{len(unknown)} of these decisions are about pairs that do not exist: {shown}{more}")
    return reviews


def _published(workspace: Workspace) -> list[Print]:
    """Fingerprints of the published benchmarks that the checkpoint will be scored on.

    Raises:
        dagster.Failure: one of their files is at fault.
    """
    try:
        return suite_prints(workspace.profile.benchmark.external, workspace.data / "index/benchmarks")
    except SuiteError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


def _gallery(workspace: Workspace) -> dict[str, Any]:
    """The page on which people look at the pairs, brought up to date.

    Raises:
        dagster.Failure: it could not be written. The pairs are published all the same.
    """
    if not workspace.profile.gallery.pairs_per_batch:
        return {}
    gallery = workspace.gallery
    try:
        gallery.publish()
    except GalleryError as error:
        raise dg.Failure(description=str(error)) from error
    return {"gallery": dg.MetadataValue.path(gallery.page.absolute())}


def _candidates(partition: Partition, specs: pa.Table, images: pa.Table, dialogues: pa.Table) -> list[Candidate]:
    """Every dialogue that was written, with its first prompt and picture.

    Raises:
        dagster.Failure: a dialogue is about a prompt or a picture that has since been dropped.
    """
    spec_of = {row["spec_id"]: row for row in specs.to_pylist()}
    image_of = {row["image_id"]: row for row in images.filter(pc.equal(images["status"], MADE)).to_pylist()}
    candidates = []
    for dialogue in dialogues.filter(pc.equal(dialogues["status"], MADE)).to_pylist():
        spec, image = spec_of.get(dialogue["spec_ids"][0]), image_of.get(dialogue["image_ids"][0])
        if spec is None or image is None:
            raise dg.Failure(
                description=f"dialogues of {'|'.join(partition)} are older than their prompts or images: "
                f"{dialogue['pair_id']} is about one that is gone. Materialize dialogues for this partition again.",
                allow_retries=False,
            )
        candidates.append(Candidate(dialogue, spec, image))
    return candidates


def _with_runs(table: Table, rows: Iterable[Row], previous: Iterable[Mapping[str, Any]], run_id: str) -> pa.Table:
    """Verdicts as a table; those that say what they said before keep the run that made them."""
    before = {row["pair_id"]: row for row in previous}

    def run_of(row: Row) -> str:
        earlier = before.get(row["pair_id"])
        same = earlier is not None and all(earlier[name] == value for name, value in row.items())
        return str(earlier["run_id"]) if earlier is not None and same else run_id

    return table.from_rows([{**row, "run_id": run_of(row)} for row in rows])


def _reasons(rejected: Iterable[Row]) -> str:
    counts = Counter(reason for row in rejected for reason in row["reasons"])
    lines = [f"| {reason} | {count} |" for reason, count in counts.most_common()]
    return "\n".join(["| reason | pairs |", "|---|---:|", *lines]) if lines else "nothing was turned away"
