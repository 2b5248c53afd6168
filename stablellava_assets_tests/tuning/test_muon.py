"""Muon's step: orthogonal, scaled, and the same for a matrix, its transpose and a kernel of the same numbers."""

from __future__ import annotations

import math

import pytest
import torch

from stablellava_assets.tuning.embedded.muon import Muon, orthogonalized


def test_singular_values_come_near_one() -> None:
    matrices = torch.randn(3, 16, 40, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalized(matrices))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_wide_matrices_get_what_the_plain_iteration_gives() -> None:
    generator = torch.Generator().manual_seed(3)
    matrices = torch.randn(2, 24, 96, generator=generator) * torch.logspace(0, -3, 24)[:, None]
    a, b, c = 3.4445, -4.7750, 2.0315
    plain = matrices.double() / matrices.double().norm(dim=(1, 2), keepdim=True)
    for _ in range(5):
        gram = plain @ plain.mT
        plain = a * plain + (b * gram + c * gram @ gram) @ plain
    assert torch.allclose(orthogonalized(matrices).double(), plain, atol=2e-3)


@pytest.mark.parametrize("shape", [(8, 24), (24, 8), (8, 6, 2, 2)])
def test_one_step_has_the_size_of_adamws(shape: tuple[int, ...]) -> None:
    weight = torch.nn.Parameter(torch.zeros(shape))
    weight.grad = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    Muon([weight], lr=0.01, weight_decay=0.1).step()
    assert weight.detach().square().mean().sqrt() == pytest.approx(0.2 * 0.01, rel=0.25)


def test_it_follows_torchs_own_muon() -> None:
    generator = torch.Generator().manual_seed(2)
    start, gradient = (torch.randn(12, 32, generator=generator) for _ in range(2))
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    optimizers = [
        Muon([ours], lr=0.02, weight_decay=0.05),
        torch.optim.Muon([theirs], lr=0.02, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
    ]
    for scale in (1.0, -0.5, 2.0):
        for weight, optimizer in zip((ours, theirs), optimizers, strict=True):
            weight.grad = scale * gradient
            optimizer.step()
    # torch iterates in bfloat16, whose rounding is about a hundredth of a step.
    step = 3 * 0.02 * 0.2 * math.sqrt(32)
    assert torch.allclose(ours, theirs, atol=0.03 * step)


def test_a_weight_without_gradient_stays() -> None:
    weight = torch.nn.Parameter(torch.ones(4, 4))
    Muon([weight], lr=0.1, weight_decay=0.5).step()
    assert torch.equal(weight, torch.ones(4, 4))
