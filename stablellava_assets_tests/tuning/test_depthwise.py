"""Depthwise convolutions over small grids give what torch's own give, gradients included."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from stablellava_assets.tuning.embedded.depthwise import SmallGridDepthwise, with_fast_depthwise


@pytest.mark.parametrize("grid", [(1, 1), (2, 2), (4, 4), (2, 4), (5, 5), (9, 9)])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_those_of_a_convolution(grid: tuple[int, int], bias: bool) -> None:
    torch.manual_seed(0)
    ours = torch.nn.Sequential(torch.nn.Conv2d(6, 6, 7, padding=3, groups=6, bias=bias, dtype=torch.float64))
    theirs = copy.deepcopy(ours)
    with_fast_depthwise(ours)
    pictures = torch.randn(3, 6, *grid, dtype=torch.float64)
    results = []
    for layer in (ours, theirs):
        given = pictures.clone().requires_grad_()
        out = layer(given)
        out.square().sum().backward()
        results.append([out, given.grad, *(weight.grad for weight in layer.parameters())])
    assert isinstance(ours[0], SmallGridDepthwise)
    for mine, expected in zip(*results, strict=True):
        assert torch.allclose(mine, expected)


@pytest.mark.parametrize(
    "changed", [{"stride": 2}, {"padding": 2}, {"groups": 3}, {"dilation": 2}, {"kernel_size": 6}, {"out_channels": 12}]
)
def test_other_convolutions_are_left_alone(changed: dict[str, int]) -> None:
    settings: dict[str, Any] = {
        "in_channels": 6,
        "out_channels": 6,
        "kernel_size": 7,
        "padding": 3,
        "groups": 6,
        **changed,
    }
    model = torch.nn.Sequential(torch.nn.Conv2d(**settings))
    with_fast_depthwise(model)
    assert type(model[0]) is torch.nn.Conv2d


def test_parameters_keep_their_names() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 7, padding=3, groups=4))
    names = [name for name, _ in model.named_parameters()]
    with_fast_depthwise(model)
    assert [name for name, _ in model.named_parameters()] == names
