"""Paths in the local data folder of a profile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataFolder:
    """The local data folder; its contents are created on demand."""

    path: Path

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
    def report(self) -> Path:
        """The report pages."""
        return self.path / "report"

    @property
    def chat_ledger(self) -> Path:
        """The ledger of chat model requests."""
        return self.path / "chat_ledger.sqlite"

    @property
    def image_ledger(self) -> Path:
        """The ledger of image model requests, with the images."""
        return self.path / "image_ledger.sqlite"

    @property
    def batch_sizes(self) -> Path:
        """The batch sizes that fit into GPU memory."""
        return self.path / "batch_sizes.json"
