"""Paths in the local data folder of a profile, and where the state is that machines may share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stablellava_assets.state.database import Database
from stablellava_assets.state.locks import DatabaseLocks, FileLocks, Locks
from stablellava_assets.state.sql import StatePlace, StateSchema


@dataclass(frozen=True)
class DataFolder:
    """The local data folder; its contents are created on demand.

    Attributes:
        path: the folder.
        state: the database that holds ledgers and locks in its place, for several machines; None: the folder does.
    """

    path: Path
    state: Database | None = None

    @property
    def warehouse(self) -> Path:
        """The DuckDB copy of the tables."""
        return self.path / "warehouse.duckdb"

    @property
    def journal(self) -> Path:
        """Finished rows of partitions that are not published yet, and the locks of partitions."""
        return self.path / "journal"

    @property
    def index(self) -> Path:
        """Indexes of earlier batches and benchmarks, used by the filters."""
        return self.path / "index"

    @property
    def models(self) -> Path:
        """Checkpoints, one folder each."""
        return self.path / "models"

    @property
    def contact_sheets(self) -> Path:
        """A few images of each partition, to look at."""
        return self.path / "contact_sheets"

    @property
    def report(self) -> Path:
        """The report pages."""
        return self.path / "report"

    @property
    def chat_ledger(self) -> StatePlace:
        """The ledger of chat model requests."""
        return self._state("chat_ledger")

    @property
    def image_ledger(self) -> StatePlace:
        """The ledger of image model requests, with the images."""
        return self._state("image_ledger")

    @property
    def locks(self) -> Locks:
        """Locks of what one process may make at a time: partitions, plans, checkpoints."""
        return FileLocks(self.journal) if self.state is None else DatabaseLocks(self.state)

    def _state(self, name: str) -> StatePlace:
        return self.path / f"{name}.sqlite" if self.state is None else StateSchema(self.state, name)

    @property
    def batch_sizes(self) -> Path:
        """The batch sizes that fit into GPU memory."""
        return self.path / "batch_sizes.json"
