"""The folder of a tuning in progress, through which its processes communicate."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stablellava_assets.tables.files import publish_file
from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings

OUT_OF_MEMORY = 75
"""Exit status of a worker that ran out of memory for a micro-batch (EX_TEMPFAIL: try again)."""
REFUSED = 78
"""Exit status of a worker that wrote to ``error.txt`` what the user has to change (EX_CONFIG)."""
PROGRESS = "[tuning] "
"""Prefix of the lines of a worker's output that are shown to the user."""
TRAINING_LOG, REJECTED = "training_log.jsonl", "rejected_rows.jsonl"
SETTINGS, RESULT = "tuning_settings.json", "tuning_result.json"
"""Files that the finished checkpoint keeps."""


@dataclass(frozen=True)
class JobFolder:
    """The folder of one tuning. Everything in it but the log can be regenerated."""

    path: Path

    @property
    def rows(self) -> Path:
        """All rows, one JSON object per line."""
        return self.path / "rows.jsonl"

    @property
    def rejected(self) -> Path:
        """The rows that are not trained on, with their reasons."""
        return self.path / REJECTED

    @property
    def refused_by_reader(self) -> Path:
        """The rejected rows that were found while reading."""
        return self.path / "refused_by_reader.jsonl"

    @property
    def usable(self) -> Path:
        """The rows that are trained on, by their indices in ``rows``, with their lengths."""
        return self.path / "usable.json"

    @property
    def pictures(self) -> Path:
        """The images of the kept pairs."""
        return self.path / "pictures"

    @property
    def projector(self) -> Path:
        """The aligned projector."""
        return self.path / "projector.safetensors"

    @property
    def result(self) -> Path:
        """The finished checkpoint; complete if it has a ``tuning_result.json``."""
        return self.path / "result"

    @property
    def log(self) -> Path:
        """The output of the worker."""
        return self.path / "worker.log"

    @property
    def error(self) -> Path:
        """What the user has to change."""
        return self.path / "error.txt"

    @property
    def training_log(self) -> Path:
        """Loss, learning rates, throughput and memory by step."""
        return self.path / TRAINING_LOG

    def checkpoints(self, phase: str) -> Path:
        """Checkpoints from which an interrupted run is resumed."""
        return self.path / f"checkpoints-{phase}"

    def write_settings(self, settings: PretrainedTuningSettings) -> None:
        """Write the settings of the job."""
        write_json(self.path / SETTINGS, settings.model_dump(mode="json"))

    def settings(self) -> PretrainedTuningSettings:
        """Read the settings of the job."""
        return PretrainedTuningSettings.model_validate(read_json(self.path / SETTINGS))

    def micro_batch(self, settings: PretrainedTuningSettings) -> int:
        """The micro-batch of the profile, or the smaller one found to fit into memory under its settings."""
        path = self.path / "micro_batch.json"
        found = read_json(path) if path.exists() else {}
        count: int = (
            found["micro_batch"] if found.get("under") == _of_memory(settings) else settings.machine.micro_batch
        )
        return count

    def write_micro_batch(self, settings: PretrainedTuningSettings, count: int) -> None:
        """Record the micro-batch that fits into memory under these settings."""
        write_json(self.path / "micro_batch.json", {"micro_batch": count, "under": _of_memory(settings)})


def _of_memory(settings: PretrainedTuningSettings) -> dict[str, object]:
    """The machine settings that affect memory use."""
    names = {"device", "processes", "micro_batch", "attention", "gradient_checkpointing", "compile"}
    return settings.machine.model_dump(mode="json", include=names)


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """Write a JSON file atomically."""
    publish_file(path, json.dumps(content).encode())


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text())
