"""Keep the terminal clean while libraries load and encode; what goes wrong is raised, and said in our words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module


@contextmanager
def quiet(*libraries: str, warnings: bool = False) -> Iterator[None]:
    """No progress bars of ``libraries``, as transformers and diffusers, and without ``warnings`` only errors; afterwards as before."""
    logs = [import_module(f"{library}.utils.logging") for library in libraries]
    before = [(log.get_verbosity(), log.is_progress_bar_enabled()) for log in logs]
    for log in logs:
        log.disable_progress_bar()
        if not warnings:
            log.set_verbosity_error()
    try:
        yield
    finally:
        for log, (verbosity, shown) in zip(logs, before, strict=True):
            log.set_verbosity(verbosity)
            if shown:
                log.enable_progress_bar()
