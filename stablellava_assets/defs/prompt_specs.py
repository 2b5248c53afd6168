"""The ``prompt_specs`` asset."""

import dagster as dg

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.authors.base import Author
from stablellava_assets.checks.balance import subject_balance
from stablellava_assets.checks.prompt_specs import SUITE
from stablellava_assets.defs.batch_size import BatchSizes
from stablellava_assets.defs.project import stage_asset
from stablellava_assets.defs.published import Tables
from stablellava_assets.defs.spending import RunSpending
from stablellava_assets.defs.stage import Events, PartitionResult, Stage, from_refreshed, partitions_of
from stablellava_assets.tables.schemas import PROMPT_SPECS
from stablellava_assets.tables.store import Partition


@stage_asset(SUITE, {"python", "parquet"}, partitioned=True, pool="author")
def prompt_specs(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[Tables],
    catalog: dg.ResourceParam[Catalog],
    author: dg.ResourceParam[Author],
    batch_sizes: dg.ResourceParam[BatchSizes],
) -> Events:
    """The author writes the prompts of an ability's batch."""
    stage = Stage(context, tables, SUITE)
    spending = RunSpending(context, author)
    partitions = partitions_of(context)
    sizes = batch_sizes.for_run(context, partitions)

    def make(partition: Partition) -> PartitionResult:
        ability, batch = partition
        count, size_metadata = sizes.for_partition(partition)
        planned = author.plan_prompts(batch_sizes.briefed(catalog[ability], batch), batch, count)
        refreshed = stage.refresh(partition, planned, author.write_prompts, PROMPT_SPECS, is_slow=author.is_slow)
        written = [text for text in refreshed.data.column("prompt").to_pylist() if text is not None]
        balance = subject_balance(refreshed.data.column("subject").to_pylist())
        metadata = {
            "examples": dg.MetadataValue.md("\n".join(f"- `{text}`" for text in written[:5])),
            "subjects": balance.subjects,
            "subject_entropy": round(balance.entropy, 4),
            "top_subject": balance.top_subject,
            "top_subject_share": round(balance.top_share, 4),
            **size_metadata,
            **spending.for_partition("|".join(partition), refreshed.data),
        }
        return from_refreshed(refreshed, metadata, spending.for_run())

    yield from stage.run(partitions, make, lambda: sizes.sync_warehouse(tables))
