"""The ``dialogues`` asset."""

import dagster as dg
import pyarrow.compute as pc

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.authors.base import Author
from stablellava_assets.checks.dialogues import SUITE
from stablellava_assets.defs.project import stage_asset
from stablellava_assets.defs.published import Tables
from stablellava_assets.defs.spending import RunSpending, waiting_for_budget
from stablellava_assets.defs.stage import Events, Made, Stage, from_refreshed, partitions_of
from stablellava_assets.tables.schemas import IMAGES, MADE, PROMPT_SPECS
from stablellava_assets.tables.store import Partition

_WITHOUT_PICTURES = [name for name in IMAGES.schema.names if name != "image"]


@stage_asset(SUITE, "synthesis", {"python", "parquet"}, ["prompt_specs", "images"], partitioned=True)
def dialogues(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[Tables],
    catalog: dg.ResourceParam[Catalog],
    author: dg.ResourceParam[Author],
) -> Events:
    """The author writes dialogues about the images that exist; none is requested, or paid for, without an image."""
    stage = Stage(context, tables, SUITE)
    prompt_specs, images = tables.upstream(PROMPT_SPECS), tables.upstream(IMAGES)
    spending = RunSpending(context, author)

    def make(partition: Partition) -> Made:
        prompts = prompt_specs.read(partition)
        specs = {spec["spec_id"]: spec for spec in prompts.to_pylist()}
        pictures = images.read(partition, _WITHOUT_PICTURES)
        painted = [
            (specs[picture["spec_id"]], picture)
            for picture in pictures.filter(pc.equal(pictures["status"], MADE)).to_pylist()
            if picture["spec_id"] in specs
        ]
        planned = author.plan_dialogues(catalog[partition[0]], painted)
        refreshed = stage.refresh(partition, planned, author.write_dialogues, SUITE.table)
        kinds = refreshed.data.group_by("question_kind").aggregate([([], "count_all")]).to_pylist()
        metadata = {
            **{f"{row['question_kind']} questions": row["count_all"] for row in kinds if row["question_kind"]},
            **spending.of_partition("|".join(partition), refreshed.data),
        }
        return from_refreshed(refreshed, metadata, spending.of_run(), waiting_for_budget(prompts))

    yield from stage.run(partitions_of(context), make)
