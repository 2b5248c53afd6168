"""Depthwise convolutions on grids smaller than their kernel, computed as matrix products.

On such grids every cell affects every other one. The gradient of such a kernel takes convolution libraries longer
than the rest of its block.
"""

from __future__ import annotations

from functools import cache

import torch


class SmallGridDepthwise(torch.nn.Conv2d):
    """A depthwise convolution with an odd square kernel and padding of half of it; equivalent to its base class."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Input and output have shape (images, channels, height, width)."""
        pictures, channels, height, width = input.shape
        kernel = self.weight.shape[-1]
        if max(height, width) > kernel // 2 + 1:
            return super().forward(input)
        weights = self.weight.view(channels, -1) @ _placements(kernel, height, width).to(self.weight)
        cells = input.transpose(0, 1).reshape(channels, pictures, height * width)
        seen = cells @ weights.view(channels, height * width, height * width)
        if self.bias is not None:
            seen = seen + self.bias[:, None, None]
        return seen.view(channels, pictures, height, width).transpose(0, 1)


def with_fast_depthwise(model: torch.nn.Module) -> None:
    """Replace the depthwise convolutions inside ``model``; parameters, their names and results stay the same."""
    for parent in list(model.modules()):
        for name, layer in parent.named_children():
            if type(layer) is torch.nn.Conv2d and _is_depthwise(layer):
                setattr(parent, name, _fast(layer))


def _fast(layer: torch.nn.Conv2d) -> SmallGridDepthwise:
    """A layer that shares the parameters of ``layer``."""
    channels, kernel = layer.in_channels, layer.kernel_size[0]
    fast = SmallGridDepthwise(channels, channels, kernel, padding=kernel // 2, groups=channels, device="meta")
    fast.weight, fast.bias = layer.weight, layer.bias
    return fast.train(layer.training)


def _is_depthwise(module: torch.nn.Conv2d) -> bool:
    kernel = module.kernel_size[0]
    return (
        module.groups == module.in_channels == module.out_channels
        and module.kernel_size == (kernel, kernel)
        and module.padding == (kernel // 2, kernel // 2)
        and module.stride == module.dilation == (1, 1)
        and kernel % 2 == 1
    )


@cache
def _placements(kernel: int, height: int, width: int) -> torch.Tensor:
    """Shape (kernel cells, input cells x output cells): 1 where a kernel's cell connects the two."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    y, x = y.flatten(), x.flatten()
    cell = (y[:, None] - y + kernel // 2) * kernel + (x[:, None] - x + kernel // 2)
    return torch.nn.functional.one_hot(cell.flatten(), kernel * kernel).T.float().contiguous()
