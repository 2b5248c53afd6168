"""Progress of a training run: its loss curve, and a line every few seconds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from stablellava_assets.tables.pace import Pace, Progress

_CURVE_POINTS = 200


class TrainingReport:
    """Records ``curve``, (step, mean loss since the previous point), and reports progress."""

    def __init__(self, steps: int, per_step: int, progress: Callable[[str], None]) -> None:
        self.curve: list[tuple[int, float]] = []
        self._steps, self._per_step, self._progress = steps, per_step, progress
        self._every = max(1, steps // _CURVE_POINTS)
        self._losses: list[float] = []
        self._done = self._first = 0
        self._started, self._pace = time.monotonic(), Pace()

    def state(self) -> dict[str, Any]:
        """State for :meth:`load_state`."""
        return {"done": self._done, "losses": self._losses, "curve": self.curve}

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue after the steps of an interrupted run; the rate covers only this run."""
        self._done = self._first = state["done"]
        self._losses = state["losses"]
        self.curve = [(step, loss) for step, loss in state["curve"]]
        self._progress(f"going on after step {self._done} of {self._steps}")

    def add(self, loss: float) -> None:
        """Record a finished step.

        Raises:
            FloatingPointError: the loss is infinite or NaN.
        """
        self._done += 1
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss became {loss} at step {self._done}: lower the learning rates")
        self._losses.append(loss)
        if self._done % self._every == 0 or self._done == self._steps:
            self.curve.append((self._done, sum(self._losses) / len(self._losses)))
            self._losses = []
        if self._pace.is_due(last=self._done == self._steps):
            rate = (self._done - self._first) / max(time.monotonic() - self._started, 1e-9)
            line = (
                f"step {self._done} of {self._steps}, loss {loss:.3f}, {rate * self._per_step:.0f} examples/s, "
                f"{(self._steps - self._done) / rate:.0f} s left"
            )
            self._progress(Progress(line, self._done, self._steps))
