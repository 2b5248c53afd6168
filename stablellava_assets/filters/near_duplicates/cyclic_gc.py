"""Cyclic garbage collection, disabled while rows are judged."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_cyclic_gc() -> Iterator[None]:
    """Disable cyclic garbage collection inside the block; also a decorator.

    The rows, texts and keys of a batch have none, and looking through them again and again takes a quarter of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
