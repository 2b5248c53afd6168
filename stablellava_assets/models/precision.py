"""Default device and precision, if the profile leaves them open."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def automatic_device() -> str:
    """The GPU if there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def automatic_dtype(device: str) -> torch.dtype:
    """bfloat16 on a GPU with native support (NVIDIA since Ampere, 2020), else float32.

    torch also reports bfloat16 as supported when it emulates it, which is slower than float32.
    """
    import torch

    has_units = device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if has_units else torch.float32
