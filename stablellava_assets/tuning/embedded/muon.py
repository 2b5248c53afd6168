"""The Muon optimizer: momentum with orthogonalized updates (Jordan et al., 2024)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic Newton-Schulz iteration, as published with Muon."""
_ITERATIONS = 5
_SMALLEST_NORM = 1e-7


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum and decoupled weight decay, for matrices and convolution kernels.

    A kernel is treated as a matrix of output channels by everything else. Updates are scaled to the size of AdamW's
    (Liu et al., "Muon is scalable for LLM training", 2025). Unlike ``torch.optim.Muon``, it iterates in float32, since
    bfloat16 is a hundred times slower on CPUs without units for it, and it batches matrices of equal shape.
    """

    def __init__(
        self, params: Iterable[torch.nn.Parameter] | Iterable[dict[str, object]], lr: float, weight_decay: float
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": 0.95})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Apply the gradients; parameters without one are unchanged. ``closure`` is part
        of torch's interface and unused."""
        for group in self.param_groups:
            by_shape: dict[tuple[int, ...], list[tuple[torch.nn.Parameter, torch.Tensor]]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    update = self._momentum(weight, group["momentum"])
                    by_shape[tuple(update.shape)].append((weight, update))
            for members in by_shape.values():
                updates = orthogonalized(torch.stack([update for _, update in members]))
                for (weight, _), update in zip(members, updates, strict=True):
                    matrix = _as_wide_matrix(weight)
                    scale = 0.2 * math.sqrt(max(matrix.shape))
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    matrix.add_(update, alpha=-group["lr"] * scale)

    def _momentum(self, weight: torch.nn.Parameter, momentum: float) -> torch.Tensor:
        assert weight.grad is not None
        gradient = _as_wide_matrix(weight.grad)
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(gradient)
        kept: torch.Tensor = state["momentum"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(kept, momentum)


def orthogonalized(matrices: torch.Tensor) -> torch.Tensor:
    """Matrices (count, rows, columns), rows <= columns, with singular values brought to about 1.

    Each iteration multiplies by a polynomial of the Gram matrix, and these commute. For wide matrices it takes half the
    work to multiply the polynomials first and apply their product once.
    """
    current: torch.Tensor = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp(min=_SMALLEST_NORM)
    rows, columns = current.shape[1:]
    if columns < 2 * rows:
        for _ in range(_ITERATIONS):
            current = _factor(current @ current.mT) @ current
        return current
    gram = current @ current.mT
    product = factor = _factor(gram)
    for _ in range(_ITERATIONS - 1):
        gram = factor @ (gram @ factor)
        factor = _factor(gram)
        product = factor @ product
    return product @ current


def _factor(gram: torch.Tensor) -> torch.Tensor:
    """The factor that one iteration multiplies the matrices by, from their Gram matrices."""
    a, b, c = _COEFFICIENTS
    factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    factor.diagonal(dim1=1, dim2=2).add_(a)
    return factor


def _as_wide_matrix(values: torch.Tensor) -> torch.Tensor:
    matrix = values.view(values.shape[0], -1)
    return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT
