"""The ``ability_benchmark`` asset."""

from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from stablellava_assets.assets.previews import item_sheet, spread
from stablellava_assets.assets.project import ONE_RUN, OWNERS, check_specs, column_schema, explained
from stablellava_assets.assets.stage import Events, Made, Stage, from_refreshed
from stablellava_assets.checks.ability_benchmark import SUITE
from stablellava_assets.evaluation.benchmark import PAINTED, make_items, plan_items
from stablellava_assets.evaluation.photographs.items import make_photographs, plan_photographs
from stablellava_assets.evaluation.photographs.records import Listed, read_photographs
from stablellava_assets.evaluation.scoreboard import NO_PHOTOGRAPHS
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.rows import PlannedRow, Row
from stablellava_assets.tables.store import Partition
from stablellava_assets.yaml_documents import DocumentError


@dg.asset(
    backfill_policy=ONE_RUN,
    group_name="evaluation",
    owners=OWNERS,
    kinds={"python", "parquet"},
    metadata=column_schema(SUITE.table),
    check_specs=check_specs(SUITE),
    description=SUITE.table.description,
)
@explained
def ability_benchmark(context: dg.AssetExecutionContext, workspace: dg.ResourceParam[Workspace]) -> Events:
    """Make held-out images and questions for every evaluated ability, in wordings that training never uses.

    Real photographs are added if the profile names any.
    """
    stage = Stage(context, workspace, SUITE)
    settings, painter = workspace.profile.benchmark, workspace.painter
    listed = _photographs(context, workspace)

    def make(partition: Partition) -> Made:
        (ability,) = partition
        painted = plan_items(workspace.catalog[ability], settings.items_per_kind, painter)
        taken = plan_photographs(listed, ability)
        painted_ids = {row.row_id for row in painted}

        def make_rows(missing: Sequence[PlannedRow]) -> Iterable[Row]:
            yield from make_items([row for row in missing if row.row_id in painted_ids], painter)
            yield from make_photographs([row for row in missing if row.row_id not in painted_ids])

        refreshed = stage.refresh(partition, [*painted, *taken], make_rows, SUITE.table)
        is_painted = pc.equal(refreshed.data["benchmark"], PAINTED)
        return from_refreshed(refreshed, {"contact_sheet": item_sheet(refreshed.data.filter(is_painted))})

    yield from stage.run([(ability,) for ability in workspace.measured], make, lambda: _describe(listed))


def _photographs(context: dg.AssetExecutionContext, workspace: Workspace) -> list[Listed]:
    """The photographs of the profile's abilities; those of others are reported.

    Raises:
        dagster.Failure: the list has a mistake.
    """
    given = workspace.profile.benchmark.photographs
    if given is None:
        return []
    try:
        listed = read_photographs(given, workspace.catalog)
    except DocumentError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    measured = [one for one in listed if one.photograph.ability in workspace.measured]
    if len(measured) < len(listed):
        context.log.warning(
            f"{given}: {len(listed) - len(measured)} of {len(listed)} questions are about abilities that the profile "
            "leaves out (setting `only`); they are skipped"
        )
    return measured


def _describe(listed: Sequence[Listed]) -> dict[str, Any]:
    if not listed:
        return {"photographs": NO_PHOTOGRAPHS}
    shown = [
        {
            "image": {"bytes": one.path.read_bytes(), "path": None},
            "question": one.photograph.question,
            "accepted": list(one.photograph.accepted),
        }
        for one in spread(listed)
    ]
    columns = pa.schema([SUITE.table.schema.field(name) for name in ("image", "question", "accepted")])
    return {
        "photographs": item_sheet(pa.Table.from_pylist(shown, schema=columns)),
        "photograph_questions": len(listed),
        "photograph_files": len({one.path for one in listed}),
    }
