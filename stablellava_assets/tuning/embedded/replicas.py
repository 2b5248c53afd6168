"""One copy of the model a processor core, each on one thread, that share the work of every step.

For a network this small that beats one model on all threads: its operations are too short to be split between cores, and a
share of a batch stays in a core's own cache.
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
    """``model`` itself and copies of it, one a thread that torch may use; on a GPU ``model`` alone."""
    import torch

    from stablellava_assets.tuning.embedded.depthwise import with_fast_depthwise

    if next(model.parameters()).device.type != "cpu":
        return [model]
    with_fast_depthwise(model)
    return [model, *(copy.deepcopy(model) for _ in range(torch.get_num_threads() - 1))]


@contextmanager
def single_threaded(workers: int) -> Iterator[ThreadPoolExecutor]:
    """A pool of ``workers`` threads in which torch splits no operation; afterwards it may again."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)
