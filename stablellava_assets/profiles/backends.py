"""Creates the author and the painter of a profile: a new one is one case here.

Classes are imported on demand, because some take seconds to load.
"""

from __future__ import annotations

from functools import partial

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.authors.base import Author
from stablellava_assets.authors.settings import (
    AuthorSettings,
    ChatAuthorSettings,
    EmbeddedAuthorSettings,
    ReleasedAuthorSettings,
)
from stablellava_assets.filters.settings import AlignmentSettings
from stablellava_assets.models.folders import ModelFolders
from stablellava_assets.painters.base import Painter
from stablellava_assets.painters.best_of import AnyPainter, BestOfPainter
from stablellava_assets.painters.settings import (
    ApiPainterSettings,
    BestOfSettings,
    DiffusionPainterSettings,
    EmbeddedPainterSettings,
    PainterSettings,
)
from stablellava_assets.profiles.data_folder import DataFolder
from stablellava_assets.tables.store import ParquetStore


def make_author(settings: AuthorSettings, catalog: Catalog, store: ParquetStore, folder: DataFolder) -> Author:
    """The author for ``settings``; ``catalog`` has the questions of other abilities, ``store`` the examples, and
    ``folder`` the ledger."""
    match settings:
        case EmbeddedAuthorSettings():
            from stablellava_assets.authors.embedded.author import EmbeddedAuthor

            return EmbeddedAuthor(settings.not_shown, catalog.single)
        case ReleasedAuthorSettings():
            from stablellava_assets.authors.released.author import ReleasedAuthor

            return ReleasedAuthor(settings)
        case ChatAuthorSettings():
            from stablellava_assets.authors.chat.author import ChatAuthor

            return ChatAuthor(settings, store, folder.chat_ledger)


def make_painter(settings: PainterSettings, catalog: Catalog, folder: DataFolder) -> Painter:
    """The painter for ``settings``; ``catalog`` defines the sprites, ``folder`` holds its ledger."""
    match settings:
        case EmbeddedPainterSettings():
            from stablellava_assets.painters.embedded.painter import EmbeddedPainter

            return EmbeddedPainter(settings, catalog)
        case DiffusionPainterSettings():
            from stablellava_assets.painters.diffusion.painter import DiffusionPainter, job_of
            from stablellava_assets.painters.spread import SpreadPainter

            make = partial(DiffusionPainter, settings, folder.batch_sizes)
            has_gpus = settings.device in ("auto", "cuda")
            workers = settings.workers if has_gpus or settings.workers != "auto" else 1
            return SpreadPainter(make(), make, workers, job_of)
        case ApiPainterSettings():
            from stablellava_assets.painters.api.painter import ApiPainter

            return ApiPainter(settings, folder.image_ledger)


def make_batch_painter(
    painter: Painter,
    best_of: BestOfSettings | None,
    alignment: AlignmentSettings | None,
    catalog: Catalog,
    store: ParquetStore,
    models: ModelFolders,
) -> AnyPainter:
    """``painter``, or the best of several of its images by the scorers of ``alignment``."""
    if best_of is None or alignment is None:
        return painter
    from stablellava_assets.filters.alignment.judge import AlignmentJudge
    from stablellava_assets.filters.alignment.models import newest_checkpoint

    judge = AlignmentJudge(alignment, catalog, partial(newest_checkpoint, store, models))
    return BestOfPainter(painter, best_of.images, judge)
