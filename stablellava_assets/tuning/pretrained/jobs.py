"""What lies in the folder of a tuning under way, and what passes between the processes that work on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stablellava_assets.tables.files import publish_file
from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings

OUT_OF_MEMORY = 75
"""Exit status of a worker whose memory did not hold a micro-batch (EX_TEMPFAIL: try again)."""
REFUSED = 78
"""Exit status of a worker that says in ``error.txt`` what has to be changed (EX_CONFIG)."""
PROGRESS = "[tuning] "
"""Begins the lines of a worker that are for people."""
TRAINING_LOG, REJECTED = "training_log.jsonl", "rejected_rows.jsonl"
SETTINGS, RESULT = "tuning_settings.json", "tuning_result.json"
"""Files that the finished checkpoint keeps."""


@dataclass(frozen=True)
class JobFolder:
    """The folder of one tuning. Everything in it but the log can be made again."""

    path: Path

    @property
    def rows(self) -> Path:
        """All rows, one JSON object a line."""
        return self.path / "rows.jsonl"

    @property
    def rejected(self) -> Path:
        """The rows that are not trained on, with their reasons."""
        return self.path / REJECTED

    @property
    def refused_by_reader(self) -> Path:
        """Those of them that were found while the rows were read."""
        return self.path / "refused_by_reader.jsonl"

    @property
    def usable(self) -> Path:
        """The rows that are trained on, by their places in ``rows``, with their lengths."""
        return self.path / "usable.json"

    @property
    def pictures(self) -> Path:
        """The pictures of the kept pairs."""
        return self.path / "pictures"

    @property
    def projector(self) -> Path:
        """The projector, once it is aligned."""
        return self.path / "projector.safetensors"

    @property
    def result(self) -> Path:
        """The finished checkpoint, complete once its ``tuning_result.json`` is there."""
        return self.path / "result"

    @property
    def log(self) -> Path:
        """Everything the worker said."""
        return self.path / "worker.log"

    @property
    def error(self) -> Path:
        """What has to be changed."""
        return self.path / "error.txt"

    @property
    def training_log(self) -> Path:
        """Loss, rates, throughput and memory by step."""
        return self.path / TRAINING_LOG

    def checkpoints(self, phase: str) -> Path:
        """What a killed run goes on from."""
        return self.path / f"checkpoints-{phase}"

    def write_settings(self, settings: PretrainedTuningSettings) -> None:
        """The job itself."""
        write_json(self.path / SETTINGS, settings.model_dump(mode="json"))

    def settings(self) -> PretrainedTuningSettings:
        """What :meth:`write_settings` wrote."""
        return PretrainedTuningSettings.model_validate(read_json(self.path / SETTINGS))

    def micro_batch(self, settings: PretrainedTuningSettings) -> int:
        """What the profile says, or what memory was found to hold since it says so."""
        path = self.path / "micro_batch.json"
        found = read_json(path) if path.exists() else {}
        count: int = (
            found["micro_batch"] if found.get("under") == _of_memory(settings) else settings.machine.micro_batch
        )
        return count

    def write_micro_batch(self, settings: PretrainedTuningSettings, count: int) -> None:
        """Remember what memory holds under these settings."""
        write_json(self.path / "micro_batch.json", {"micro_batch": count, "under": _of_memory(settings)})


def _of_memory(settings: PretrainedTuningSettings) -> dict[str, object]:
    """The settings of the machine by which memory holds more or less."""
    names = {"device", "processes", "micro_batch", "attention", "gradient_checkpointing", "compile"}
    return settings.machine.model_dump(mode="json", include=names)


def write_json(path: Path, content: Mapping[str, object]) -> None:
    """The file appears complete or not at all."""
    publish_file(path, json.dumps(content).encode())


def read_json(path: Path) -> Any:
    """What a JSON file holds."""
    return json.loads(path.read_text())
