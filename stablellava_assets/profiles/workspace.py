"""What a profile makes of the project: catalog, author, painter, store and warehouse, each made when first used."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import assert_never

from stablellava_assets.abilities.catalog import Catalog, load_catalog
from stablellava_assets.authors.base import Author
from stablellava_assets.authors.settings import ChatAuthorSettings, EmbeddedAuthorSettings, ReleasedAuthorSettings
from stablellava_assets.checks.quarantine import Quarantine
from stablellava_assets.filters.alignment.alignment import Alignment
from stablellava_assets.filters.alignment.models import OwnCheckpoint
from stablellava_assets.gallery.folder import Gallery
from stablellava_assets.painters.base import Painter
from stablellava_assets.painters.settings import ApiPainterSettings, DiffusionPainterSettings, EmbeddedPainterSettings
from stablellava_assets.planning.recorded import BatchPlans
from stablellava_assets.planning.upcoming import next_batches
from stablellava_assets.profiles.profile import Profile
from stablellava_assets.report.folder import Report
from stablellava_assets.tables.schemas import FILTERED_PAIRS, LLAVA_CHECKPOINT
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.warehouse import Warehouse
from stablellava_assets.tuning.model_names import located
from stablellava_assets.yaml_documents import DocumentError


class Workspace:
    """The parts of a run. The one place that knows which author and which painter a setting means."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    @cached_property
    def catalog(self) -> Catalog:
        """The abilities."""
        return load_catalog(self.profile.abilities)

    @cached_property
    def measured(self) -> list[str]:
        """The abilities that are measured: all, or those the profile keeps to.

        Raises:
            DocumentError: the profile keeps to one that does not exist.
        """
        only = self.profile.only
        if only is not None and (unknown := [name for name in only if name not in self.catalog]):
            raise DocumentError(f"only: {self.profile.abilities} holds no ability {unknown[0]!r}")
        return [name for name in self.catalog if only is None or name in only]

    @cached_property
    def taught(self) -> list[str]:
        """Those of them that the author can write for."""
        return [name for name in self.author.abilities(self.catalog) if name in self.measured]

    @cached_property
    def store(self) -> ParquetStore:
        """The Parquet tables."""
        return ParquetStore(self.profile.tables_root)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The DuckDB file beside them."""
        return Warehouse(self.data / "warehouse.duckdb", self.store)

    @property
    def data(self) -> Path:
        """The local data folder."""
        return self.profile.storage.data

    @property
    def first_batch(self) -> str:
        """The first batch of every ability, as Dagster's command line takes a range of partitions."""
        batch = self.profile.batch_keys[0]
        return f"{self.taught[0]}|{batch}...{self.taught[-1]}|{batch}"

    @property
    def chat_ledger(self) -> Path:
        """The ledger of what chat models were paid for; made when the first is asked."""
        return self.data / "chat_ledger.sqlite"

    @property
    def image_ledger(self) -> Path:
        """The ledger of what image models were paid for, with the pictures; made when the first is asked."""
        return self.data / "image_ledger.sqlite"

    @property
    def quarantine(self) -> Quarantine:
        """The rows that gates refused."""
        return Quarantine(self.data / "quarantine")

    @property
    def gallery(self) -> Gallery:
        """The page on which people look at pairs, in the data folder."""
        return Gallery(self.data / "gallery", self.store, self.profile.filters, self.profile.gallery)

    @property
    def report(self) -> Report:
        """The reports on all tuning runs, in the data folder."""
        judge = self.profile.benchmark.judge
        judged_kinds = () if judge is None else judge.kinds
        return Report(self.data / "report", self.store, self.profile.report, judged_kinds)

    @cached_property
    def author(self) -> Author:
        """Who writes prompts and dialogues."""
        settings = self.profile.author
        if isinstance(settings, EmbeddedAuthorSettings):
            from stablellava_assets.authors.embedded import EmbeddedAuthor

            return EmbeddedAuthor()
        if isinstance(settings, ReleasedAuthorSettings):
            from stablellava_assets.authors.released import ReleasedAuthor

            return ReleasedAuthor(settings)
        if isinstance(settings, ChatAuthorSettings):
            from stablellava_assets.authors.chat.author import ChatAuthor

            return ChatAuthor(settings, self.store, self.chat_ledger)
        assert_never(settings)

    @cached_property
    def painter(self) -> Painter:
        """Who paints."""
        settings = self.profile.painter
        if isinstance(settings, EmbeddedPainterSettings):
            from stablellava_assets.painters.embedded import EmbeddedPainter

            return EmbeddedPainter(settings, self.catalog)
        if isinstance(settings, DiffusionPainterSettings):
            from stablellava_assets.painters.diffusion.painter import DiffusionPainter

            return DiffusionPainter(settings, self.data / "batch_sizes.json")
        if isinstance(settings, ApiPainterSettings):
            from stablellava_assets.painters.api import ApiPainter

            return ApiPainter(settings, self.image_ledger)
        assert_never(settings)

    @cached_property
    def plans(self) -> BatchPlans | None:
        """How many rows each ability gets in a batch; None where files are cut into batches of ``rows_per_batch``."""
        profile = self.profile
        if isinstance(profile.author, ReleasedAuthorSettings):
            return None
        return BatchPlans(self.store, self.data / "journal", profile.planning, self.taught, profile.rows_per_batch)

    def upcoming(self) -> dict[str, str]:
        """The next batch of each ability that is taught; those whose batches are all done are left out."""
        return next_batches(self.profile.batch_keys, self.store.partitions(FILTERED_PAIRS), self.taught)

    def alignment(self) -> Alignment | None:
        """What scores pictures against their prompts, with the newest checkpoint of now; None where nothing does."""
        settings = self.profile.filters.alignment
        return None if settings is None else Alignment(settings, self.catalog, self._newest_checkpoint())

    def _newest_checkpoint(self) -> OwnCheckpoint | None:
        # Read from the store, not taken as an input: the checkpoint is made from the pairs that it helps to choose.
        rows = self.store.read_all(LLAVA_CHECKPOINT, columns=["checkpoint_id", "path", "base_path"]).to_pylist()
        if not rows:
            return None
        newest = rows[-1]
        return OwnCheckpoint(
            newest["checkpoint_id"],
            Path(located(self.data, newest["path"])),
            Path(located(self.data, newest["base_path"])),
        )
