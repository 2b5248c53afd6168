"""Lines that a stage logs, with the numbers that the display of a run draws as bars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import dagster as dg

from stablellava_assets.tables.pace import Progress

PROGRESS = "stablellava_progress"
"""Attribute of a log record that is about work in progress: a :class:`~stablellava_assets.tables.pace.Progress`."""
FINISHED = "stablellava_finished"
"""Attribute of a log record that is about a finished partition: a :class:`FinishedPartition`."""
SHOWN = "stablellava_shown"
"""Attribute of a log record that a person should not miss."""


class FinishedPartition(NamedTuple):
    """A partition that is published or refused: the ``number``-th of ``total``, with its counts of rows."""

    number: int
    total: int
    counts: Mapping[str, int]
    is_refused: bool


def reporter(log: dg.DagsterLogManager, name: str = "") -> Callable[[str], None]:
    """A function that logs lines, ``name`` before each, and keeps their numbers."""

    def report(line: str) -> None:
        extra = {PROGRESS: line} if isinstance(line, Progress) else None
        log.info(f"{name}: {line}" if name else line, extra=extra)

    return report
