"""Number of images per batch: from the profile or the free GPU memory, halved whenever memory runs out.

The limit after an out-of-memory error is stored in a file, because each partition may run in its own process.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from filelock import FileLock
from pydantic import Field, TypeAdapter

from stablellava_assets.painters.base import PainterError
from stablellava_assets.painters.settings import DiffusionPainterSettings
from stablellava_assets.tables.files import publish_file
from stablellava_assets.tables.identity import content_key

_WITHOUT_GPU = 4
_MOST = 32
_SHARE = 0.8
"""Fraction of free memory for batches; the rest is for kernel workspaces that the first image did not need."""
_DECIDES_MEMORY = {"width", "height", "guidance", "dtype", "offload", "compile", "batch_size"}
_Limits = TypeAdapter(dict[str, Annotated[int, Field(ge=1)]])
_LOG = logging.getLogger(__name__)


class BatchSize:
    """The current limit.

    Args:
        settings: the profile's.
        checkpoint: hash of the checkpoint.
        device: the device in use.
        memory: file with the limits found so far, by checkpoint, settings and device.
    """

    def __init__(self, settings: DiffusionPainterSettings, checkpoint: str, device: str, memory: Path) -> None:
        self._measures = settings.batch_size is None and device == "cuda"
        self._memory = memory
        self._key = content_key(
            checkpoint, settings.model_dump(mode="json", include=_DECIDES_MEMORY), device, _name_of(device)
        )
        self._remembered_limit = _remembered(memory).get(self._key)
        chosen = 1 if self._measures else settings.batch_size or _WITHOUT_GPU
        self.limit = chosen if self._remembered_limit is None else min(chosen, self._remembered_limit)
        if self._remembered_limit is not None:
            _LOG.info(
                "at most %d pictures at once, since memory ran out with more (%s)", self._remembered_limit, memory
            )

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure memory while one image is made in the block, and set the limit
        accordingly. Later uses have no effect."""
        if not self._measures:
            yield
            return
        import torch

        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield
        each = torch.cuda.max_memory_allocated() - before
        free = torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        self.limit = min(max(int(_SHARE * free / max(each, 1)), 1), self._remembered_limit or _MOST, _MOST)
        self._measures = False

    def on_out_of_memory(self, count: int) -> None:
        """Halve the limit after ``count`` images did not fit, for this and later runs.

        Raises:
            PainterError: memory does not hold a single image.
        """
        import torch

        if count == 1:
            raise PainterError(
                "memory ran out with a single picture: set painter.offload, a smaller painter.width and height, or "
                "painter.dtype to bfloat16"
            )
        self._measures = False
        self.limit = self._remembered_limit = min(self.limit, count // 2)
        _remember(self._memory, self._key, self.limit)
        _LOG.warning(
            "memory ran out with %d pictures at once; %d from now on, also in later runs (until %s is deleted)",
            count,
            self.limit,
            self._memory,
        )
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _name_of(device: str) -> Any:
    import torch

    return (
        (torch.cuda.get_device_name(), torch.cuda.get_device_properties(0).total_memory) if device == "cuda" else None
    )


def _remembered(memory: Path) -> dict[str, int]:
    try:
        return _Limits.validate_json(memory.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        _LOG.warning("%s is damaged: the batch size is measured again", memory)
        return {}


def _remember(memory: Path, key: str, limit: int) -> None:
    memory.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{memory}.lock"):
        publish_file(memory, json.dumps({**_remembered(memory), key: limit}).encode())
