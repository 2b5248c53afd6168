"""The ``ability_benchmark`` asset."""

from functools import partial

import dagster as dg

from stablellava_assets.assets.previews import item_sheet
from stablellava_assets.assets.project import ONE_RUN, OWNERS, check_specs, column_schema
from stablellava_assets.assets.stage import Events, Made, Stage, from_refreshed
from stablellava_assets.checks.ability_benchmark import SUITE
from stablellava_assets.evaluation.benchmark import make_items, plan_items
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.store import Partition


@dg.asset(
    backfill_policy=ONE_RUN,
    group_name="evaluation",
    owners=OWNERS,
    kinds={"python", "parquet"},
    metadata=column_schema(SUITE.table),
    check_specs=check_specs(SUITE),
    description=SUITE.table.description,
)
def ability_benchmark(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> Events:
    """Paint held-out pictures of every measured ability and ask about them in wordings of the benchmark's own."""
    stage = Stage(context, workspace, SUITE)

    def make(partition: Partition) -> Made:
        (ability,) = partition
        planned = plan_items(workspace.catalog[ability], workspace.profile.benchmark.items_per_kind, workspace.painter)
        refreshed = stage.refresh(partition, planned, partial(make_items, painter=workspace.painter), SUITE.table)
        return from_refreshed(refreshed, {"contact_sheet": item_sheet(refreshed.data)})

    yield from stage.run([(ability,) for ability in workspace.measured], make)
