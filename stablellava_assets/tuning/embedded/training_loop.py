"""The training loop of all stages: replicas split the work of a step, and one optimizer updates them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

from stablellava_assets.tuning.embedded.optimizer import Optimizer
from stablellava_assets.tuning.embedded.replicas import replicate, single_threaded
from stablellava_assets.tuning.embedded.saved_state import SavedState
from stablellava_assets.tuning.embedded.training_report import TrainingReport
from stablellava_assets.tuning.settings import StageSettings

if TYPE_CHECKING:
    import torch

ModelT = TypeVar("ModelT", bound="torch.nn.Module")
BatchT = TypeVar("BatchT", bound="Divisible")


class Divisible(Protocol):
    """The work of one step."""

    def micro_batches(self: BatchT, count: int) -> Sequence[BatchT]:
        """At most ``count`` non-empty parts."""
        ...


def optimize(
    model: ModelT,
    stage: StageSettings,
    steps: int,
    work: Iterable[BatchT],
    backward: Callable[[ModelT, BatchT], float],
    report: TrainingReport,
    saved: SavedState | None = None,
) -> list[tuple[int, float]]:
    """Train ``model`` in place.

    Args:
        model: the model; parameters without a gradient are unchanged.
        stage: learning rates and their schedule.
        steps: how many batches ``work`` holds.
        work: one batch per optimizer step; the replicas process its micro-batches in parallel.
        backward: adds the gradients of a micro-batch to a replica's, and returns its part of the batch loss.
        report: receives the losses.
        saved: checkpoint from which an interrupted run is resumed.

    Returns:
        The loss curve: (step, mean loss since the previous point).

    Raises:
        FloatingPointError: the loss became infinite or NaN.
    """
    replicas = replicate(model)
    with single_threaded(len(replicas)) as pool:
        optimizer = Optimizer(replicas, stage, steps, pool)
        done = saved.restore(optimizer, report) if saved else 0
        for step, batch in enumerate(islice(work, done, None), done + 1):
            report.add(sum(pool.map(backward, replicas, batch.micro_batches(len(replicas)))))
            optimizer.step()
            if saved:
                saved.save(step, optimizer, report)
        optimizer.finish(model)
    return report.curve
