"""The loop of every stage of training: replicas share a step's work, one optimizer moves them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

from stablellava_assets.tuning.embedded.optimization import Optimizer
from stablellava_assets.tuning.embedded.replicas import replicate, single_threaded
from stablellava_assets.tuning.embedded.report import TrainingReport
from stablellava_assets.tuning.embedded.resuming import SavedState
from stablellava_assets.tuning.settings import StageSettings

if TYPE_CHECKING:
    import torch

ModelT = TypeVar("ModelT", bound="torch.nn.Module")
BatchT = TypeVar("BatchT", bound="Divisible")


class Divisible(Protocol):
    """What one step works on."""

    def shares(self: BatchT, count: int) -> Sequence[BatchT]:
        """At most ``count`` parts, none of them empty."""
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
        model: what is trained; parameters that no loss reaches stay as they are.
        stage: learning rates and their schedule.
        steps: how many batches ``work`` holds.
        work: a batch an optimizer step; the replicas work on its shares at the same time.
        backward: adds the gradients of one share to a replica's, and returns its part of the batch's loss.
        report: keeps the loss curve.
        saved: where the state is kept for a run that goes on after this one was killed.

    Returns:
        The loss curve, (step, mean loss of the steps since the point before).

    Raises:
        FloatingPointError: the loss became infinite or no number.
    """
    replicas = replicate(model)
    with single_threaded(len(replicas)) as pool:
        optimizer = Optimizer(replicas, stage, steps, pool)
        done = saved.restore(optimizer, report) if saved else 0
        for step, batch in enumerate(islice(work, done, None), done + 1):
            report.add(sum(pool.map(backward, replicas, batch.shares(len(replicas)))))
            optimizer.step()
            if saved:
                saved.save(step, optimizer, report)
        optimizer.finish(model)
    return report.curve
