"""Which class writes and which class paints under a profile: a new author or painter is one line here.

A class is imported when its profile asks for it, since some take seconds to load.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.authors.base import Author
from stablellava_assets.authors.settings import AuthorSettings
from stablellava_assets.painters.base import Painter
from stablellava_assets.painters.settings import PainterSettings
from stablellava_assets.profiles.data_folder import DataFolder
from stablellava_assets.tables.store import ParquetStore


def _embedded_author(settings: Any, store: ParquetStore, folder: DataFolder) -> Author:
    from stablellava_assets.authors.embedded.author import EmbeddedAuthor

    return EmbeddedAuthor()


def _released_author(settings: Any, store: ParquetStore, folder: DataFolder) -> Author:
    from stablellava_assets.authors.released.author import ReleasedAuthor

    return ReleasedAuthor(settings)


def _chat_author(settings: Any, store: ParquetStore, folder: DataFolder) -> Author:
    from stablellava_assets.authors.chat.author import ChatAuthor

    return ChatAuthor(settings, store, folder.chat_ledger)


def _embedded_painter(settings: Any, catalog: Catalog, folder: DataFolder) -> Painter:
    from stablellava_assets.painters.embedded.painter import EmbeddedPainter

    return EmbeddedPainter(settings, catalog)


def _diffusion_painter(settings: Any, catalog: Catalog, folder: DataFolder) -> Painter:
    from stablellava_assets.painters.diffusion.painter import DiffusionPainter

    return DiffusionPainter(settings, folder.batch_sizes)


def _api_painter(settings: Any, catalog: Catalog, folder: DataFolder) -> Painter:
    from stablellava_assets.painters.api.painter import ApiPainter

    return ApiPainter(settings, folder.image_ledger)


AUTHORS: Mapping[str, Callable[[Any, ParquetStore, DataFolder], Author]] = {
    "embedded": _embedded_author,
    "released": _released_author,
    "chat": _chat_author,
}
"""By the ``kind`` of their settings (``authors/settings.py``)."""
PAINTERS: Mapping[str, Callable[[Any, Catalog, DataFolder], Painter]] = {
    "embedded": _embedded_painter,
    "diffusion": _diffusion_painter,
    "api": _api_painter,
}
"""By the ``kind`` of their settings (``painters/settings.py``)."""


def make_author(settings: AuthorSettings, store: ParquetStore, folder: DataFolder) -> Author:
    """The author that ``settings`` describe; ``store`` is where it finds examples, ``folder`` where it keeps its ledger."""
    return AUTHORS[settings.kind](settings, store, folder)


def make_painter(settings: PainterSettings, catalog: Catalog, folder: DataFolder) -> Painter:
    """The painter that ``settings`` describe; ``catalog`` says what sprites depict, ``folder`` is where it keeps its ledger."""
    return PAINTERS[settings.kind](settings, catalog, folder)
