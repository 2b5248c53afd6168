"""The optimizer of all training stages: Muon for the inner matrices and AdamW for the rest, with one schedule."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

from stablellava_assets.tuning.settings import StageSettings

if TYPE_CHECKING:
    import torch

_BETAS = (0.9, 0.95)
_MAX_GRADIENT_NORM = 1.0
_PIXEL_CHANNELS = 3
_TOWER = "vision_tower."


class Optimizer:
    """Muon (Jordan et al., 2024) and AdamW side by side, with linear warm-up and linear decay to zero.

    The replicas may compute in bfloat16. Updates apply to float32 master weights (Micikevicius et al., 2018), which are
    copied into every replica after each step, so that small updates are not lost to rounding.
    """

    def __init__(
        self, replicas: Sequence[torch.nn.Module], stage: StageSettings, steps: int, executor: Executor
    ) -> None:
        import torch

        from stablellava_assets.tuning.embedded.muon import Muon

        self._executor = executor
        named = [dict(replica.named_parameters()) for replica in replicas]
        self._working = [[weights[name] for weights in named] for name in named[0]]
        self._masters = [torch.nn.Parameter(weights[0].detach().float().clone()) for weights in self._working]
        movable = [
            (master, _is_inner_matrix(name, master), stage.tower_rate if _TOWER in name else 1.0)
            for master, name in zip(self._masters, named[0], strict=True)
        ]
        # Sorted by shape, so that matrices of one shape are adjacent and distributed evenly over the threads.
        matrices = sorted(
            ((master, factor) for master, is_inner, factor in movable if is_inner),
            key=lambda movable: (movable[0].numel(), *movable[0].shape),
        )
        others = [(master, factor) for master, is_inner, factor in movable if not is_inner]
        rate = stage.matrix_learning_rate
        matrices_by_thread = [matrices[at :: len(replicas)] for at in range(len(replicas))]
        self._parts: list[torch.optim.Optimizer] = [
            *(Muon(_groups(some, rate), rate, stage.weight_decay) for some in matrices_by_thread if some),
            torch.optim.AdamW(_groups(others, stage.learning_rate), betas=_BETAS, weight_decay=stage.weight_decay),
        ]
        warmup = max(1, round(stage.warmup * steps))

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            return 1 - (step - warmup) / max(1, steps - warmup)

        self._schedules = [torch.optim.lr_scheduler.LambdaLR(part, factor) for part in self._parts]

    def step(self) -> None:
        """Update the weights of all replicas with the sum of their gradients, clipped to norm 1."""
        import torch

        for master, weights in zip(self._masters, self._working, strict=True):
            gradients = [weight.grad.float() for weight in weights if weight.grad is not None]
            master.grad = torch.stack(gradients).sum(0) if gradients else None
            for weight in weights:
                weight.grad = None
        torch.nn.utils.clip_grad_norm_(self._masters, _MAX_GRADIENT_NORM)
        list(self._executor.map(lambda part: part.step(), self._parts))
        for schedule in self._schedules:
            schedule.step()
        with torch.no_grad():
            for master, weights in zip(self._masters, self._working, strict=True):
                for weight in weights:
                    weight.copy_(master)

    def state(self) -> dict[str, Any]:
        """Master weights, and the state of the optimizers and schedules."""
        return {
            "masters": [master.detach() for master in self._masters],
            "parts": [part.state_dict() for part in self._parts],
            "schedules": [schedule.state_dict() for schedule in self._schedules],
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore the result of :meth:`state`, in every replica."""
        import torch

        with torch.no_grad():
            for master, saved, weights in zip(self._masters, state["masters"], self._working, strict=True):
                master.copy_(saved)
                for weight in weights:
                    weight.copy_(master)
        for part, saved in zip(self._parts, state["parts"], strict=True):
            part.load_state_dict(saved)
        for schedule, saved in zip(self._schedules, state["schedules"], strict=True):
            schedule.load_state_dict(saved)

    def finish(self, model: torch.nn.Module) -> None:
        """Leave ``model``, the first of the replicas, in float32 with the master weights."""
        import torch

        model.float()
        with torch.no_grad():
            for master, weight in zip(self._masters, model.parameters(), strict=True):
                weight.copy_(master)


def _groups(weights: Sequence[tuple[torch.Tensor, float]], rate: float) -> list[dict[str, Any]]:
    """Parameters grouped by their factor on the learning rate."""
    by_factor: dict[float, list[torch.Tensor]] = {}
    for weight, factor in weights:
        by_factor.setdefault(factor, []).append(weight)
    return [{"params": members, "lr": rate * factor} for factor, members in by_factor.items()]


def _is_inner_matrix(name: str, weight: torch.Tensor) -> bool:
    """Matrices and dense convolution kernels, except embeddings, heads, and kernels that read pixels or one channel."""
    if any(part in name for part in ("embed", "head")):
        return False
    return weight.ndim == 2 or (weight.ndim == 4 and weight.shape[1] > _PIXEL_CHANNELS)
