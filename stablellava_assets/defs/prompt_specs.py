"""The ``prompt_specs`` asset."""

import dagster as dg

from stablellava_assets.checks.balance import subject_balance
from stablellava_assets.checks.prompt_specs import SUITE
from stablellava_assets.defs.batch_size import BatchSizes
from stablellava_assets.defs.project import ONE_RUN, OWNERS, PARTITIONS, check_specs, column_schema, explained
from stablellava_assets.defs.spending import RunSpending
from stablellava_assets.defs.stage import Events, Made, Stage, from_refreshed, partitions_of
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.store import Partition


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
def prompt_specs(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> Events:
    """The author writes the prompts of an ability's batch."""
    stage = Stage(context, workspace, SUITE)
    spending = RunSpending(context, workspace)
    partitions = partitions_of(context)
    sizes = BatchSizes(context, workspace, partitions)

    def make(partition: Partition) -> Made:
        ability, batch = partition
        count, size_metadata = sizes.of(partition)
        planned = workspace.author.plan_prompts(workspace.catalog[ability], batch, count)
        refreshed = stage.refresh(partition, planned, workspace.author.write_prompts, SUITE.table)
        written = [text for text in refreshed.data.column("prompt").to_pylist() if text is not None]
        balance = subject_balance(refreshed.data.column("subject").to_pylist())
        metadata = {
            "examples": dg.MetadataValue.md("\n".join(f"- `{text}`" for text in written[:5])),
            "subjects": balance.subjects,
            "subject_entropy": round(balance.entropy, 4),
            "top_subject": balance.top_subject,
            "top_subject_share": round(balance.top_share, 4),
            **size_metadata,
            **spending.of_partition("|".join(partition), refreshed.data),
        }
        return from_refreshed(refreshed, metadata, spending.of_run())

    yield from stage.run(partitions, make, sizes.follow)
