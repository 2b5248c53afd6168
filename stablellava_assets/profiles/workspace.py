"""The objects that a profile configures: catalog, author, painter, store and warehouse, each created on first use.

The Dagster layer and the commands start here, and pass on what each function needs.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import get_args

from stablellava_assets.abilities.catalog import Catalog, load_catalog
from stablellava_assets.authors.base import Author
from stablellava_assets.checks.quarantine import Quarantine
from stablellava_assets.filters.settled import Settling
from stablellava_assets.gallery.folder import Gallery
from stablellava_assets.models.folders import ModelFolders
from stablellava_assets.painters.base import Painter
from stablellava_assets.painters.best_of import AnyPainter
from stablellava_assets.planning.recorded import BatchPlans
from stablellava_assets.planning.upcoming import next_batches
from stablellava_assets.profiles.backends import make_author, make_batch_painter, make_painter
from stablellava_assets.profiles.data_folder import DataFolder
from stablellava_assets.profiles.profile import Profile, Published, load_profile
from stablellava_assets.report.folder import Report
from stablellava_assets.state.database import Database
from stablellava_assets.tables.places import Place, place_at
from stablellava_assets.tables.schemas import FILTERED_PAIRS
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.warehouse import Warehouse


class Workspace:
    """The parts of a run."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    @cached_property
    def catalog(self) -> Catalog:
        """The abilities."""
        return load_catalog(self.profile.abilities, self.profile.own_abilities)

    @cached_property
    def measured(self) -> list[str]:
        """The evaluated abilities: all, or those selected in the profile.

        Raises:
            DocumentError: the profile selects one that does not exist.
        """
        return self.profile.measured(self.catalog)

    @cached_property
    def author_abilities(self) -> list[str]:
        """The evaluated abilities that the author can write for."""
        return [name for name in self.author.abilities(self.catalog) if name in self.measured]

    @cached_property
    def store(self) -> ParquetStore:
        """The Parquet tables."""
        return ParquetStore(self.profile.tables_root)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The DuckDB file beside them."""
        return Warehouse(self.folder.warehouse, self.store)

    @cached_property
    def folder(self) -> DataFolder:
        """The local data folder."""
        state = self.profile.storage.state
        return DataFolder(self.profile.storage.data, None if state is None else Database(state))

    @property
    def data(self) -> Path:
        """Its path."""
        return self.folder.path

    @property
    def first_batch(self) -> str | None:
        """The first batch of every ability, as a partition range for Dagster's command line; None without abilities."""
        return self.range_of(self.profile.batch_keys[0])

    def range_of(self, batch: str) -> str | None:
        """A batch of every ability, as a partition range for Dagster's command line; None without abilities."""
        if not self.author_abilities:
            return None
        return f"{self.author_abilities[0]}|{batch}...{self.author_abilities[-1]}|{batch}"

    @cached_property
    def models(self) -> ModelFolders:
        """The checkpoints: in the data folder, and published if the tables are on a URL or the profile says where."""
        return ModelFolders(self.folder.path, self._published("models"))

    def check_storage(self) -> None:
        """Find out before any work starts whether what is made can be published.

        Raises:
            PlaceError: something cannot be written; setting and reason are named.
        """
        self.store.check()
        for published in get_args(Published):
            if not self.profile.place_of(published).startswith(f"{self.profile.tables_root.rstrip('/')}/"):
                self._place(published).check()

    def _published(self, published: Published) -> Place | None:
        """The place of something that is made in the data folder; None if it stays there."""
        is_elsewhere = Path(self.profile.place_of(published)) != self.folder.path / published
        return self._place(published) if is_elsewhere else None

    def _place(self, published: Published) -> Place:
        return place_at(self.profile.place_of(published), f"storage.{published}")

    @property
    def quarantine(self) -> Quarantine:
        """The rows that gates refused."""
        return Quarantine(self._place("quarantine"))

    @property
    def gallery(self) -> Gallery:
        """The gallery page."""
        return Gallery(self._place("gallery"), self.store, self.profile.filters, self.profile.gallery)

    @property
    def report(self) -> Report:
        """The reports on all tuning runs."""
        benchmark = self.profile.benchmark
        judged_kinds = () if benchmark.judge is None else benchmark.judge.kinds
        return Report(
            self.folder.report,
            self.store,
            self.profile.report,
            judged_kinds,
            self.settling,
            self._published("report"),
            benchmark.wanted_gain,
        )

    @property
    def settling(self) -> Settling:
        """Gives whoever uses kept pairs the verdicts of batches that are filtered in order."""
        return Settling(self.profile.filters, self.folder.index)

    @cached_property
    def author(self) -> Author:
        """The author of prompts and dialogues."""
        return make_author(self.profile.author, self.catalog, self.store, self.folder)

    @cached_property
    def painter(self) -> Painter:
        """The painter of images."""
        return make_painter(self.profile.painter, self.catalog, self.folder)

    @cached_property
    def batch_painter(self) -> AnyPainter:
        """The painter of batches, which may keep the best of several images.

        Benchmark and base are painted by the painter itself: chosen images would be those that the model knows.
        """
        profile = self.profile
        return make_batch_painter(
            self.painter, profile.painter.best_of, profile.filters.alignment, self.catalog, self.store, self.models
        )

    @property
    def usual_rows(self) -> dict[str, int]:
        """The prompts of each ability in ``author_abilities`` in a batch without a plan, or groups of prompts."""
        return self.profile.usual_rows(self.author_abilities, self.catalog)

    @cached_property
    def plans(self) -> BatchPlans | None:
        """Batch sizes per ability; None if the author divides files into batches of ``rows_per_batch``."""
        profile = self.profile
        if profile.author.kind == "released":
            return None
        return BatchPlans(self.store, self.folder.locks, profile.planning, self.usual_rows, self.catalog)

    def upcoming(self) -> dict[str, str]:
        """The next batch of each ability in ``author_abilities``; those whose batches are all done are left out."""
        return next_batches(self.profile.batch_keys, self.store.partitions(FILTERED_PAIRS), self.author_abilities)


def workspace_of_environment() -> Workspace:
    """The workspace of the profile in ``STABLELLAVA_PROFILE``.

    Raises:
        DocumentError: there is no such profile, or it is invalid.
    """
    return Workspace(load_profile())
