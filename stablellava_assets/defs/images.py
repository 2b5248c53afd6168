"""The ``images`` asset."""

from functools import partial
from pathlib import Path

import dagster as dg

from stablellava_assets.checks.images import SUITE
from stablellava_assets.defs.previews import first_pictures, sheet
from stablellava_assets.defs.project import stage_asset
from stablellava_assets.defs.published import Tables
from stablellava_assets.defs.reporting import SHOWN
from stablellava_assets.defs.spending import picture_spending, waiting_for_budget
from stablellava_assets.defs.stage import Events, PartitionResult, Stage, from_refreshed, partitions_of
from stablellava_assets.painters.best_of import AnyPainter
from stablellava_assets.profiles.data_folder import DataFolder
from stablellava_assets.tables.files import publish_file
from stablellava_assets.tables.pair_rows import WrittenSpec
from stablellava_assets.tables.reading import only_made
from stablellava_assets.tables.schemas import IMAGES, PROMPT_SPECS
from stablellava_assets.tables.store import Partition
from stablellava_assets.tables.table import rows_of


@stage_asset(SUITE, {"python", "parquet"}, ["prompt_specs"], partitioned=True, pool="painter")
def images(
    context: dg.AssetExecutionContext,
    tables: dg.ResourceParam[Tables],
    batch_painter: dg.ResourceParam[AnyPainter],
    folder: dg.ResourceParam[DataFolder],
) -> Events:
    """The painter makes one image per prompt, or keeps the best of several; what it cannot paint is a failed row."""
    stage, prompt_specs = Stage(context, tables, SUITE), tables.upstream(PROMPT_SPECS)
    shown = False

    def show(path: Path, pictures: bytes) -> None:
        nonlocal shown
        path.parent.mkdir(parents=True, exist_ok=True)
        publish_file(path, pictures)
        if not shown:
            context.log.info(f"the first pictures are in {path}", extra={SHOWN: True})
        shown = True

    def make(partition: Partition) -> PartitionResult:
        specs = prompt_specs.read(partition)
        written = rows_of(WrittenSpec, only_made(specs))
        paint = partial(batch_painter.paint, finished=partial(stage.images, partition, IMAGES))
        refreshed = stage.refresh(partition, batch_painter.plan(written), paint, IMAGES, is_slow=batch_painter.is_slow)
        complete = partial(stage.complete, partition, IMAGES, refreshed.taken)
        pictures = first_pictures(complete(), specs)
        if pictures is not None and refreshed.computed:
            show(folder.contact_sheets / f"{'-'.join(partition)}.jpg", pictures)
        metadata = {
            "contact_sheet": sheet(pictures),
            **picture_spending(context, "|".join(partition), refreshed.data),
        }
        return from_refreshed(refreshed, metadata, waiting=waiting_for_budget(specs), complete=complete)

    yield from stage.run(partitions_of(context), make)
