"""Data-parallel training on a CPU: one copy of the model per core, each on one thread.

For a network this small, that is faster than one model on all threads. Its operations are too short to be split between
cores, and a share of a batch fits into a core's cache.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

ModelT = TypeVar("ModelT", bound="torch.nn.Module")


def replicate(model: ModelT) -> list[ModelT]:
    """``model`` and its copies, one per torch thread; on a GPU only ``model``."""
    import torch

    from stablellava_assets.tuning.embedded.depthwise import with_fast_depthwise

    if next(model.parameters()).device.type != "cpu":
        return [model]
    with_fast_depthwise(model)
    return [model, *(copy.deepcopy(model) for _ in range(torch.get_num_threads() - 1))]


@contextmanager
def single_threaded(workers: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of ``workers`` threads with torch's intra-op parallelism disabled, which is restored afterwards."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)
