"""Silences libraries while they load and encode; failures are raised and reported in our own words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module


@contextmanager
def quiet(*libraries: str, warnings: bool = False) -> Iterator[None]:
    """Disable progress bars of ``libraries`` (such as transformers and diffusers) inside the block, and all logs but
    errors if ``warnings`` is false.
    """
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
