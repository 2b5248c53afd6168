"""How many pictures are painted at once: what the profile says or the GPU's memory holds, less whenever that runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stablellava_assets.painters.base import PainterError

_WITHOUT_GPU = 4
_MOST = 32
_SHARE = 0.8
"""Of the free memory, what batches may take: kernels ask for workspace that the first picture did not need."""


class BatchSize:
    """The limit in force; what was learned stays for the life of the painter."""

    def __init__(self, chosen: int | None, device: str) -> None:
        self._measures = chosen is None and device == "cuda"
        self.limit = 1 if self._measures else chosen or _WITHOUT_GPU

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Paint one picture inside, and the limit becomes what the memory holds; later uses change nothing."""
        if not self._measures:
            yield
            return
        import torch

        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield
        each = torch.cuda.max_memory_allocated() - before
        free = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        self.limit = min(max(int(_SHARE * free / max(each, 1)), 1), _MOST)
        self._measures = False

    def ran_out(self, count: int) -> None:
        """Memory did not hold ``count`` pictures: half as many from now on.

        Raises:
            PainterError: it does not hold a single one.
        """
        import torch

        if count == 1:
            raise PainterError(
                "memory ran out with a single picture: set painter.offload, a smaller painter.width and height, or "
                "painter.dtype to bfloat16"
            )
        self._measures = False
        self.limit = min(self.limit, count // 2)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device, or the processor's allocator, had no memory left."""
    import torch

    if isinstance(error, torch.OutOfMemoryError):
        return True
    return any(sign in str(error) for sign in ("out of memory", "DefaultCPUAllocator"))
