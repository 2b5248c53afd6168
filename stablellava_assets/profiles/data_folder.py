"""Where things lie in the local data folder of a profile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataFolder:
    """The local data folder; nothing in it is made before it is needed."""

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
    def quarantine(self) -> Path:
        """The rows that gates refused."""
        return self.path / "quarantine"

    @property
    def index(self) -> Path:
        """What filters look up in earlier batches and in benchmarks."""
        return self.path / "index"

    @property
    def models(self) -> Path:
        """Checkpoints, a folder each."""
        return self.path / "models"

    @property
    def gallery(self) -> Path:
        """The page that shows pairs."""
        return self.path / "gallery"

    @property
    def report(self) -> Path:
        """The pages that report scores."""
        return self.path / "report"

    @property
    def chat_ledger(self) -> Path:
        """What chat models were paid for."""
        return self.path / "chat_ledger.sqlite"

    @property
    def image_ledger(self) -> Path:
        """What image models were paid for, with the images."""
        return self.path / "image_ledger.sqlite"

    @property
    def batch_sizes(self) -> Path:
        """How many images at once were too many for the GPU's memory."""
        return self.path / "batch_sizes.json"
