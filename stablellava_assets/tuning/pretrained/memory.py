"""Out-of-memory errors that no smaller micro-batch would fix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stablellava_assets.models.memory import is_out_of_memory
from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError


@contextmanager
def explained_out_of_memory() -> Iterator[None]:
    """Turns an out-of-memory error in the block, which uses the model without rows, into an explained one.

    Raises:
        PretrainedTuningError: memory ran out.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise PretrainedTuningError(
            "memory does not hold the model itself: set tuning.model.method to lora, or choose a smaller "
            f"tuning.model.model or a device with more memory ({error})"
        ) from error
