"""Memory that runs out: how that is told from other errors, and what to do where no smaller micro-batch would help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError

_SIGNS = ("CUDA error: out of memory", "STATUS_ALLOC_FAILED")
"""What CUDA and its libraries say where it is not torch's allocator that asks."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of the GPU, or of this machine, does not hold what was asked for."""
    import torch
    from accelerate.utils.memory import should_reduce_batch_size

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return should_reduce_batch_size(error) or any(sign in str(error) for sign in _SIGNS)


@contextmanager
def holding_the_model() -> Iterator[None]:
    """Around what is done with the model where rows have no part in it.

    Raises:
        PretrainedTuningError: memory ran out.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise PretrainedTuningError(
            "memory does not hold the model itself: set tuning.model.method to lora, or choose a smaller tuning.model.model or a "
            f"device with more memory ({error})"
        ) from error
