"""What a person at a terminal sees of a run."""

import io
import logging
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from rich.console import Console

from stablellava_assets.defs.automation.display import Display
from stablellava_assets.defs.reporting import FINISHED, PROGRESS, SHOWN, FinishedPartition, reporter
from stablellava_assets.tables.pace import Progress

START, SUCCESS, ENDED = (
    dg.DagsterEventType.STEP_START,
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.RUN_SUCCESS,
)


def _record(message: str, step: Any = "images", level: Any = logging.INFO, **given: Any) -> logging.LogRecord:
    kind = given.pop("kind", None)
    event = None if kind is None else SimpleNamespace(event_type=kind, event_specific_data=None)
    meta = {"step_key": step, "orig_message": message, "dagster_event": event}
    return logging.makeLogRecord(
        {"msg": message, "levelno": level, "dagster_event": event, "dagster_meta": meta, **given}
    )


def _lines(shown: io.StringIO) -> list[str]:
    return [line.rstrip() for line in shown.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 120])
def test_a_stage_is_a_line_with_its_counts(width: int) -> None:
    shown = io.StringIO()
    display = Display(console := Console(file=shown, width=width, force_terminal=False))
    display.emit(_record("started", kind=START))
    finished = FinishedPartition(1, 2, {"rows": 700, "computed": 690, "reused": 10}, False)
    display.emit(_record("[1/2] animal|0001: published", **{FINISHED: finished}))
    display.emit(_record("color|0001: 350 of 700 rows", **{PROGRESS: Progress("350 of 700 rows", 350, 700)}))
    console.print(display.drawn())
    stage, doing = _lines(shown)
    assert stage.split()[1:2] == ["images"]
    assert "1 of 2: 700 rows, 690 new" in stage
    # One partition and a half of two.
    assert stage.count("█") == 13
    assert doing.strip() == "color|0001: 350 of 700 rows"
    shown.seek(0)
    shown.truncate()
    display.emit(_record("[2/2] color|0001: published", **{FINISHED: finished._replace(number=2)}))
    display.emit(_record("done", kind=SUCCESS))
    display.emit(_record("done", step=None, kind=ENDED))
    (line,) = [line for line in _lines(shown) if line]
    assert line.startswith("✓ images")
    assert "1,400 rows, 1,380 new" in line
    assert line.endswith("0 s")
    assert len(line) <= 80


def test_what_must_not_be_missed_is_printed_in_full() -> None:
    shown = io.StringIO()
    display = Display(Console(file=shown, width=80, force_terminal=False))
    display.emit(_record("started", kind=START))
    display.emit(_record("the first pictures are in data/contact_sheets/animal-0001.jpg", **{SHOWN: True}))
    display.emit(_record("the warehouse is behind", level=logging.WARNING))
    display.emit(_record("reading"))
    display.emit(_record("done", step=None, kind=ENDED))
    text = " ".join(_lines(shown))
    assert "data/contact_sheets/animal-0001.jpg" in text
    assert "the warehouse is behind" in text
    assert text.count("reading") <= 1


def test_a_refused_partition_marks_its_stage() -> None:
    shown = io.StringIO()
    display = Display(Console(file=shown, width=80, force_terminal=False))
    display.emit(_record("started", kind=START))
    display.emit(_record("refused", **{FINISHED: FinishedPartition(1, 1, {"rows": 1}, True)}))
    display.emit(_record("failed", kind=dg.DagsterEventType.STEP_FAILURE))
    display.emit(_record("failed", step=None, kind=dg.DagsterEventType.RUN_FAILURE))
    assert any(line.startswith("✗ images") for line in _lines(shown))


def test_numbers_reach_the_display_through_dagster() -> None:
    seen: list[logging.LogRecord] = []

    @dg.logger
    def kept(_: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("kept")
        handler = logging.Handler()
        handler.emit = seen.append  # type: ignore[assignment, method-assign]
        logger.addHandler(handler)
        return logger

    @dg.op
    def work(context: dg.OpExecutionContext) -> None:
        reporter(context.log, "animal|0001")(Progress("3 of 4 rows", 3, 4))
        reporter(context.log)("nothing to count")

    @dg.job(logger_defs={"kept": kept})
    def run() -> None:
        work()

    assert run.execute_in_process(run_config={"loggers": {"kept": {}}}).success
    by_message = {record.dagster_meta["orig_message"]: record for record in seen}  # type: ignore[attr-defined]
    progress = getattr(by_message["animal|0001: 3 of 4 rows"], PROGRESS)
    assert (progress.done, progress.total) == (3, 4)
    assert not hasattr(by_message["nothing to count"], PROGRESS)
