"""Memory that runs out, told from other errors."""

from __future__ import annotations

_SIGNS = ("out of memory", "out_of_memory", "status_alloc_failed")
"""What devices and their libraries say where it is not torch's own allocator that asks."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of the GPU, or of this machine, does not hold what was asked for."""
    import torch
    from accelerate.utils.memory import should_reduce_batch_size

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    return should_reduce_batch_size(error) or any(sign in str(error).lower() for sign in _SIGNS)
