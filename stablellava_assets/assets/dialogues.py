"""The ``dialogues`` asset."""

import dagster as dg
import pyarrow.compute as pc

from stablellava_assets.assets.project import ONE_RUN, OWNERS, PARTITIONS, check_specs, column_schema, explained
from stablellava_assets.assets.published import Published
from stablellava_assets.assets.spending import RunSpending, waiting_for_budget
from stablellava_assets.assets.stage import Events, Made, Stage, from_refreshed, partitions_of
from stablellava_assets.checks.dialogues import SUITE
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.schemas import IMAGES, MADE
from stablellava_assets.tables.store import Partition

_WITHOUT_PICTURES = [name for name in IMAGES.schema.names if name != "image"]


@dg.asset(
    partitions_def=PARTITIONS,
    backfill_policy=ONE_RUN,
    group_name="synthesis",
    owners=OWNERS,
    kinds={"python", "parquet"},
    metadata=column_schema(SUITE.table),
    check_specs=check_specs(SUITE),
    description=SUITE.table.description,
)
@explained
def dialogues(
    context: dg.AssetExecutionContext,
    prompt_specs: Published,
    images: Published,
    workspace: dg.ResourceParam[Workspace],
) -> Events:
    """The author writes dialogues about the images that exist; none is requested, or paid for, without an image."""
    stage = Stage(context, workspace, SUITE)
    spending = RunSpending(context, workspace)

    def make(partition: Partition) -> Made:
        prompts = prompt_specs.read(partition)
        specs = {spec["spec_id"]: spec for spec in prompts.to_pylist()}
        pictures = images.read(partition, _WITHOUT_PICTURES)
        painted = [
            (specs[picture["spec_id"]], picture)
            for picture in pictures.filter(pc.equal(pictures["status"], MADE)).to_pylist()
            if picture["spec_id"] in specs
        ]
        planned = workspace.author.plan_dialogues(workspace.catalog[partition[0]], painted)
        refreshed = stage.refresh(partition, planned, workspace.author.write_dialogues, SUITE.table)
        kinds = refreshed.data.group_by("question_kind").aggregate([([], "count_all")]).to_pylist()
        metadata = {
            **{f"{row['question_kind']} questions": row["count_all"] for row in kinds if row["question_kind"]},
            **spending.of_partition("|".join(partition), refreshed.data),
        }
        return from_refreshed(refreshed, metadata, spending.of_run(), waiting_for_budget(prompts))

    yield from stage.run(partitions_of(context), make)
