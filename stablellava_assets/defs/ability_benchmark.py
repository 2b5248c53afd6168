"""The ``ability_benchmark`` asset."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import dagster as dg
import pyarrow as pa

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.checks.ability_benchmark import SUITE
from stablellava_assets.defs.metadata import Metadata
from stablellava_assets.defs.only import OnlyAbility
from stablellava_assets.defs.previews import ShownItem, item_sheet, spread
from stablellava_assets.defs.project import stage_asset
from stablellava_assets.defs.published import Tables
from stablellava_assets.defs.stage import Events, PartitionResult, Stage, from_refreshed
from stablellava_assets.evaluation.benchmark import DIAGNOSIS, PAINTED, PaintedItem, make_items, plan_items
from stablellava_assets.evaluation.photographs.items import PhotographedItem, make_photographs, plan_photographs
from stablellava_assets.evaluation.photographs.records import PhotographRecord, read_photographs
from stablellava_assets.evaluation.scoreboard import NO_PHOTOGRAPHS
from stablellava_assets.inputs.yaml_documents import DocumentError
from stablellava_assets.painters.base import Painter
from stablellava_assets.profiles.profile import Profile
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.rows import PlannedRow
from stablellava_assets.tables.schemas import ABILITY_BENCHMARK
from stablellava_assets.tables.score_rows import BenchmarkItem
from stablellava_assets.tables.store import Partition
from stablellava_assets.tables.table import columns_of


@stage_asset(SUITE, {"python", "parquet"})
def ability_benchmark(
    context: dg.AssetExecutionContext,
    config: OnlyAbility,
    tables: dg.ResourceParam[Tables],
    profile: dg.ResourceParam[Profile],
    catalog: dg.ResourceParam[Catalog],
    painter: dg.ResourceParam[Painter],
) -> Events:
    """Make held-out images and questions for every evaluated ability, in wordings that training never uses.

    Real photographs are added if the profile names any.
    """
    stage = Stage(context, tables, SUITE)
    settings, only = profile.benchmark, config.of(catalog)
    measured = profile.measured(catalog)
    abilities = measured if only is None else [only]
    listed = _photographs(settings.photographs, catalog, measured, context.log)

    def make(partition: Partition) -> PartitionResult:
        (ability,) = partition
        painted = [
            *plan_items(catalog[ability], settings.items_per_kind, painter),
            *plan_items(catalog[ability], settings.diagnosis_items_per_kind, painter, DIAGNOSIS),
        ]
        taken = plan_photographs(listed, ability)

        def make_rows(missing: Sequence[PlannedRow[PaintedItem | PhotographedItem]]) -> Iterable[BenchmarkItem]:
            ids = {row.row_id for row in missing}
            yield from make_items([row for row in painted if row.row_id in ids], painter)
            yield from make_photographs([row for row in taken if row.row_id in ids])

        planned: list[PlannedRow[PaintedItem | PhotographedItem]] = [*painted, *taken]
        refreshed = stage.refresh(partition, planned, make_rows, ABILITY_BENCHMARK, is_slow=painter.is_slow)
        complete = partial(stage.complete, partition, ABILITY_BENCHMARK)
        benchmarks = texts_of(refreshed.data, "benchmark")
        shown = [at for at, name in zip(refreshed.taken, benchmarks, strict=True) if name == PAINTED]
        metadata = {"contact_sheet": item_sheet(complete(spread(shown)))}
        return from_refreshed(refreshed, metadata, complete=partial(complete, refreshed.taken))

    yield from stage.run([(ability,) for ability in abilities], make, lambda: _describe(listed))


def _photographs(
    given: Path | None, catalog: Catalog, abilities: Sequence[str], log: dg.DagsterLogManager
) -> list[PhotographRecord]:
    """The photographs of the profile's abilities; those of other abilities are reported.

    Raises:
        dagster.Failure: the list contains a mistake.
    """
    if given is None:
        return []
    try:
        listed = read_photographs(given, catalog)
    except DocumentError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error
    measured = [one for one in listed if one.photograph.ability in abilities]
    if len(measured) < len(listed):
        log.warning(
            f"{given}: {len(listed) - len(measured)} of {len(listed)} questions are about abilities that the profile "
            "leaves out (setting `only`); they are skipped"
        )
    return measured


def _describe(listed: Sequence[PhotographRecord]) -> Metadata:
    if not listed:
        return {"photographs": NO_PHOTOGRAPHS}
    shown: list[ShownItem] = [
        {
            "image": {"bytes": one.path.read_bytes(), "path": None},
            "further_images": None,
            "question": one.photograph.question,
            "accepted": list(one.photograph.accepted),
            "accepted_groups": None,
        }
        for one in spread(listed)
    ]
    columns = pa.schema([ABILITY_BENCHMARK.schema.field(name) for name in columns_of(ShownItem)])
    return {
        "photographs": item_sheet([pa.Table.from_pylist(shown, schema=columns)]),
        "photograph_questions": len(listed),
        "photograph_files": len({one.path for one in listed}),
    }
