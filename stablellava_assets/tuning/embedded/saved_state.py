"""State of an interrupted tuning: weights, optimizers and losses, in one file that is replaced atomically."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stablellava_assets.tables.pace import Pace
from stablellava_assets.tuning.embedded.training_report import TrainingReport

if TYPE_CHECKING:
    from stablellava_assets.tuning.embedded.optimizer import Optimizer

_SECONDS_BETWEEN_SAVES = 15.0
"""Saving takes a few hundredths of a second, a thousandth of the training time."""


class SavedState:
    """State of a training run in ``path``. State of a run with another ``key`` is ignored."""

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key
        self._pace = Pace(_SECONDS_BETWEEN_SAVES)

    def restore(self, optimizer: Optimizer, report: TrainingReport) -> int:
        """Restore the state; returns the number of finished steps, or 0 if there is nothing to resume."""
        import torch

        if not self._path.exists():
            return 0
        state: dict[str, Any] = torch.load(self._path, weights_only=True)
        if state["key"] != self._key:
            return 0
        optimizer.load_state(state["optimizer"])
        report.load_state(state["report"])
        return int(state["step"])

    def save(self, step: int, optimizer: Optimizer, report: TrainingReport) -> None:
        """Save the state, unless that was done a moment ago."""
        import torch

        if not self._pace.is_due():
            return
        partial = self._path.with_name(f"{self._path.name}.partial")
        state = {"key": self._key, "step": step, "optimizer": optimizer.state(), "report": report.state()}
        torch.save(state, partial)
        partial.replace(self._path)

    def discard(self) -> None:
        """Delete the state after training has finished."""
        self._path.unlink(missing_ok=True)
