"""Worker processes of painters."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Thread
from types import ModuleType

_main_module = Lock()


def end_with_parent() -> None:
    """Exit when the parent process is killed: its queue would stay open, and this process would wait forever."""
    from multiprocessing import parent_process
    from multiprocessing.connection import wait as wait_for

    parent = parent_process()
    if parent is None:
        raise RuntimeError("only for worker processes")

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    Thread(target=watch, daemon=True, name="end with parent").start()


@contextmanager
def without_main_module() -> Iterator[None]:
    """Hide ``__main__`` from workers that start inside the block.

    A spawned process imports its parent's main module. Under Dagster that is Dagster's command line, which costs each
    worker seconds of unnecessary imports. loky's workers import no main module, but take longer to start
    (``benchmarks/painting_pool.py``).
    """
    with _main_module:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main
