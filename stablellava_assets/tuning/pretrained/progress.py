"""Progress lines of a training run, and the log behind its chart."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

from stablellava_assets.tables.pace import Pace
from stablellava_assets.tuning.pretrained.jobs import JobFolder

_GIB = 1 << 30


class LogPoint(TypedDict):
    """A point of the training log; ``step`` counts within its phase."""

    phase: str
    step: int
    loss: float
    learning_rate: float
    samples_per_second: float
    peak_memory_bytes: int


def progress_callback(
    phase: str, batch_size: int, rate_setting: str, job: JobFolder, report: Callable[[str], None]
) -> Any:
    """A Trainer callback that reports a line every few seconds and logs every point of the curve.

    It stops the training with a FloatingPointError that names ``rate_setting`` if the loss becomes infinite or NaN.
    """
    from transformers import TrainerCallback

    class Progress(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.first, self.started, self.pace = state.global_step, time.monotonic(), Pace(at_once=True)
            if state.is_world_process_zero:
                _drop_repeated_steps(job, phase, state.global_step)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
            if "loss" not in logs or not state.is_world_process_zero:
                return
            if not math.isfinite(logs["loss"]):
                raise FloatingPointError(
                    f"the loss became {logs['loss']} at step {state.global_step}: lower {rate_setting}"
                )
            rate = (state.global_step - self.first) / max(time.monotonic() - self.started, 1e-9)
            point: LogPoint = {
                "phase": phase,
                "step": state.global_step,
                "loss": logs["loss"],
                "learning_rate": logs["learning_rate"],
                "samples_per_second": rate * batch_size,
                "peak_memory_bytes": peak_memory(),
            }
            with job.training_log.open("a") as file:
                file.write(json.dumps(point) + "\n")
            if self.pace.is_due(last=state.global_step == state.max_steps):
                report(
                    f"{phase}: step {state.global_step} of {state.max_steps}, loss {logs['loss']:.3f}, learning rate "
                    f"{logs['learning_rate']:.2e}, {rate * batch_size:.1f} samples/s, peak memory "
                    f"{point['peak_memory_bytes'] / _GIB:.2f} GiB, {(state.max_steps - state.global_step) / rate:.0f} "
                    "s left"
                )

    return Progress()


def peak_memory() -> int:
    """Peak memory in bytes: of torch on the GPU, else of this process."""
    import resource

    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _drop_repeated_steps(job: JobFolder, phase: str, step: int) -> None:
    """Drop points of steps that are repeated."""
    if job.training_log.exists():
        kept = [point for point in read_log(job.training_log) if point["phase"] != phase or point["step"] <= step]
        job.training_log.write_text("".join(json.dumps(point) + "\n" for point in kept))


def read_log(path: Path) -> list[LogPoint]:
    """The points of a log, without an incomplete last line of an interrupted run."""
    points: list[LogPoint] = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            points.append(json.loads(line))
        except ValueError:
            continue
    return points
