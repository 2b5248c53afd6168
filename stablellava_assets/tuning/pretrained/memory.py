"""Memory that runs out where no smaller micro-batch would help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stablellava_assets.models.memory import is_out_of_memory
from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError


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
