"""How GPU memory is allocated, and detection of out-of-memory errors."""

from __future__ import annotations

from collections.abc import Mapping

_ALLOCATOR_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
_SIGNS = ("out of memory", "out_of_memory", "status_alloc_failed")
"""Messages of devices and libraries that do not use torch's allocator."""


def allocator_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables for a process that trains on batches of ever different lengths; none where ``environment`` has its own.

    With blocks of fixed size, each new length leaves blocks behind that fit no later one. LLaVA-1.5-7B then reserved
    139 GiB for 77 GiB, and waited for blocks to be freed and allocated again.
    """
    if any(name in environment for name in _ALLOCATOR_VARIABLES):
        return {}
    return {_ALLOCATOR_VARIABLES[0]: "expandable_segments:True"}


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that GPU or system memory ran out."""
    import torch
    from accelerate.utils.memory import should_reduce_batch_size

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    return should_reduce_batch_size(error) or any(sign in str(error).lower() for sign in _SIGNS)
