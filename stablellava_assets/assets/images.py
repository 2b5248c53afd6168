"""The ``images`` asset."""

import dagster as dg
import pyarrow.compute as pc

from stablellava_assets.assets.previews import picture_sheet
from stablellava_assets.assets.project import ONE_RUN, OWNERS, PARTITIONS, check_specs, column_schema, explained
from stablellava_assets.assets.published import Published
from stablellava_assets.assets.spending import picture_spending, waiting_for_budget
from stablellava_assets.assets.stage import Events, Made, Stage, from_refreshed, partitions_of
from stablellava_assets.checks.images import SUITE
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.schemas import MADE
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
def images(
    context: dg.AssetExecutionContext, prompt_specs: Published, workspace: dg.ResourceParam[Workspace]
) -> Events:
    """The painter makes one image per prompt; what it cannot paint is a failed row."""
    stage = Stage(context, workspace, SUITE)

    def make(partition: Partition) -> Made:
        specs = prompt_specs.read(partition)
        written = specs.filter(pc.equal(specs["status"], MADE)).to_pylist()
        refreshed = stage.refresh(partition, workspace.painter.plan(written), workspace.painter.paint, SUITE.table)
        metadata = {
            "contact_sheet": picture_sheet(refreshed.data, specs),
            **picture_spending(context, "|".join(partition), refreshed.data),
        }
        return from_refreshed(refreshed, metadata, waiting=waiting_for_budget(specs))

    yield from stage.run(partitions_of(context), make)
