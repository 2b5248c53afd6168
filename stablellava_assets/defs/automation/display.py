"""What a person sees of a run in a terminal: a line per stage with its counts and a bar, and what it is doing now."""

from __future__ import annotations

import atexit
import logging
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from rich.bar import Bar
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from stablellava_assets.defs.automation.logs import Readable
from stablellava_assets.defs.reporting import FINISHED, PROGRESS, SHOWN, FinishedPartition
from stablellava_assets.tables.pace import Progress

_BAR_WIDTH = 18
_NAME_WIDTH = 17
_PER_SECOND = 4


@dataclass
class _StageLine:
    """A stage that has begun: what has been told of it, and when it ended."""

    name: str
    began: float = field(default_factory=time.monotonic)
    seconds: float | None = None
    failed: bool = False
    finished: int = 0
    total: int | None = None
    counts: Counter[str] = field(default_factory=Counter)
    progress: Progress | None = None
    doing: str = ""
    progress_line: str = ""

    def finish(self, partition: FinishedPartition) -> None:
        self.finished, self.total = partition.number, partition.total
        self.progress, self.doing, self.progress_line = None, "", ""
        self.failed |= partition.is_refused
        self.counts.update(partition.counts)

    @property
    def share(self) -> float | None:
        """How much of it is done; None if nobody knows."""
        within = self.progress.done / self.progress.total if self.progress is not None else None
        if self.total is None:
            return within
        return (self.finished + (within or 0)) / self.total

    def cells(self, spinner: Spinner) -> tuple[RenderableType, ...]:
        mark: RenderableType = spinner
        if self.seconds is not None:
            mark = Text("✗", "red") if self.failed else Text("✓", "green")
        seconds = self.seconds if self.seconds is not None else time.monotonic() - self.began
        return mark, Text(self.name), self._bar(), Text(self._told(), overflow="ellipsis"), Text(f"{seconds:.0f} s")

    def _bar(self) -> RenderableType:
        if self.seconds is not None or self.share is None:
            return ""
        return Bar(1, 0, self.share, width=_BAR_WIDTH, color="green", bgcolor="grey37")

    def _told(self) -> str:
        rows, new = self.counts["rows"], self.counts["computed"]
        if self.seconds is None and self.progress is not None and not self.finished:
            return f"{self.progress.done:,} of {self.progress.total:,}"
        if self.total is None:
            return ""
        parts = f"{self.finished} of {self.total}: " if self.total > 1 and self.seconds is None else ""
        what = "row" if rows == 1 else "rows"
        return f"{parts}{rows:,} {what}, {'all as before' if not new else 'all new' if new >= rows else f'{new:,} new'}"


class Display(logging.Handler):
    """Draws what log records tell. Warnings, errors and what is to be looked at are printed above."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.setFormatter(Readable())
        self._console = console
        self._stages: list[_StageLine] = []
        self._spinner = Spinner("dots")
        self._live = Live(get_renderable=self.drawn, console=self._console, refresh_per_second=_PER_SECOND)
        self._live.start()
        atexit.register(self._end)

    def _end(self) -> None:
        if self._live.is_started:
            self._live.stop()

    def emit(self, record: logging.LogRecord) -> None:
        """Take in what a record tells."""
        event = getattr(record, "dagster_event", None)
        meta: dict[str, Any] = getattr(record, "dagster_meta", {})
        kind = event.event_type if event is not None else None
        if record.levelno >= logging.WARNING or hasattr(record, SHOWN):
            self._console.print(Text(self.format(record)))
        if kind is dg.DagsterEventType.STEP_START:
            self._stages.append(_StageLine(meta["step_key"]))
        elif kind in (dg.DagsterEventType.STEP_SUCCESS, dg.DagsterEventType.STEP_FAILURE) and self._stages:
            stage = self._stages[-1]
            stage.seconds, stage.failed = time.monotonic() - stage.began, kind is dg.DagsterEventType.STEP_FAILURE
        elif kind in (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE):
            self._end()
        elif event is None and record.levelno >= logging.INFO and meta.get("step_key") and self._stages:
            self._note(self._stages[-1], record, meta["orig_message"])

    def _note(self, stage: _StageLine, record: logging.LogRecord, message: str) -> None:
        if (partition := getattr(record, FINISHED, None)) is not None:
            stage.finish(partition)
        elif (progress := getattr(record, PROGRESS, None)) is not None:
            stage.progress, stage.progress_line = progress, message
        elif record.levelno < logging.WARNING:
            stage.progress, stage.doing, stage.progress_line = None, message, ""

    def drawn(self) -> RenderableType:
        """The lines as they stand."""
        grid = Table.grid(padding=(0, 1), expand=False)
        grid.add_column(width=1)
        grid.add_column(width=_NAME_WIDTH)
        grid.add_column(width=_BAR_WIDTH)
        grid.add_column(width=30, no_wrap=True)
        grid.add_column(width=5, justify="right")
        for stage in self._stages:
            grid.add_row(*stage.cells(self._spinner))
        running = self._stages[-1] if self._stages and self._stages[-1].seconds is None else None
        doing = [running.doing, running.progress_line] if running is not None else []
        lines = [Text(f"  {line}", "dim", no_wrap=True, overflow="ellipsis") for line in doing if line]
        return Group(grid, *lines)


def _in_terminal(context: dg.InitLoggerContext) -> logging.Logger:
    # Stages begin and end by events of level DEBUG.
    logger = logging.Logger("stablellava_assets", logging.DEBUG)
    # While a step runs, Dagster sends the standard streams into a file.
    logger.addHandler(Display(Console(file=os.fdopen(os.dup(2), "w"), force_terminal=True)))
    return logger


terminal_display = dg.LoggerDefinition(_in_terminal, description="Stages and bars, for a person at a terminal.")
