"""What a killed tuning goes on from: the weights, the optimizers and the loss so far, in one file that is replaced whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stablellava_assets.tables.pace import Pace
from stablellava_assets.tuning.embedded.report import TrainingReport

if TYPE_CHECKING:
    from stablellava_assets.tuning.embedded.optimization import Optimizer

_SECONDS_BETWEEN_SAVES = 15.0
"""A save takes some hundredths of a second: a thousandth of the training."""


class SavedState:
    """The state of a training in ``path``. ``key`` says which training: what another one left is not taken up."""

    def __init__(self, path: Path, key: str) -> None:
        self._path, self._key = path, key
        self._pace = Pace(_SECONDS_BETWEEN_SAVES)

    def restore(self, optimizer: Optimizer, report: TrainingReport) -> int:
        """Put the state back; returns how many steps are done, 0 where there is nothing to go on from."""
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
        """Write the state down, if that was not done a moment ago."""
        import torch

        if not self._pace.is_due():
            return
        partial = self._path.with_name(f"{self._path.name}.partial")
        state = {"key": self._key, "step": step, "optimizer": optimizer.state(), "report": report.state()}
        torch.save(state, partial)
        partial.replace(self._path)

    def discard(self) -> None:
        """The training has ended."""
        self._path.unlink(missing_ok=True)
