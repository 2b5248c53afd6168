"""Detection of out-of-memory errors."""

from __future__ import annotations

_SIGNS = ("out of memory", "out_of_memory", "status_alloc_failed")
"""Messages of devices and libraries that do not use torch's allocator."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that GPU or system memory ran out."""
    import torch
    from accelerate.utils.memory import should_reduce_batch_size

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    return should_reduce_batch_size(error) or any(sign in str(error).lower() for sign in _SIGNS)
