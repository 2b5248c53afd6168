"""The ``dialogues`` asset."""

import dagster as dg

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.authors.base import Author
from stablellava_assets.checks.dialogues import SUITE
from stablellava_assets.defs.batch_size import BatchSizes
from stablellava_assets.defs.project import stage_asset
from stablellava_assets.defs.published import Tables
from stablellava_assets.defs.spending import RunSpending, waiting_for_budget
from stablellava_assets.defs.stage import Events, PartitionResult, Stage, from_refreshed, partitions_of
from stablellava_assets.tables.pair_rows import PaintedImage, WrittenSpec
from stablellava_assets.tables.reading import only_made
from stablellava_assets.tables.schemas import DIALOGUES, IMAGES, PROMPT_SPECS
from stablellava_assets.tables.store import Partition
from stablellava_assets.tables.table import columns_of, rows_of


@stage_asset(SUITE, {"python", "parquet"}, ["prompt_specs", "images"], partitioned=True, pool="author")
def dialogues(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[Tables],
    catalog: dg.ResourceParam[Catalog],
    author: dg.ResourceParam[Author],
    batch_sizes: dg.ResourceParam[BatchSizes],
) -> Events:
    """The author writes dialogues about the images that exist; none is requested, or paid for, without an image."""
    stage = Stage(context, tables, SUITE)
    prompt_specs, images = tables.upstream(PROMPT_SPECS), tables.upstream(IMAGES)
    spending = RunSpending(context, author)

    def make(partition: Partition) -> PartitionResult:
        prompts = prompt_specs.read(partition)
        specs = {spec["spec_id"]: spec for spec in rows_of(WrittenSpec, only_made(prompts))}
        pictures = only_made(images.read(partition, [*columns_of(PaintedImage), "status"]))
        painted = [
            (specs[picture["spec_id"]], picture)
            for picture in rows_of(PaintedImage, pictures)
            if picture["spec_id"] in specs
        ]
        ability, batch = partition
        planned = author.plan_dialogues(batch_sizes.briefed(catalog[ability], batch), painted)
        refreshed = stage.refresh(partition, planned, author.write_dialogues, DIALOGUES, is_slow=author.is_slow)
        kinds = refreshed.data.group_by("question_kind").aggregate([([], "count_all")]).to_pylist()
        metadata = {
            **{f"{row['question_kind']} questions": row["count_all"] for row in kinds if row["question_kind"]},
            **spending.for_partition("|".join(partition), refreshed.data),
        }
        return from_refreshed(refreshed, metadata, spending.for_run(), waiting_for_budget(prompts))

    yield from stage.run(partitions_of(context), make)
