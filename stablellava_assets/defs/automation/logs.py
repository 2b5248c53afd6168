"""Console output of a run: one short line per relevant event, warnings and errors in full."""

import logging
from typing import Any

import dagster as dg


class Readable(logging.Formatter):
    """A record as the time, the step and the message, without Dagster's job name and run id."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, or several if something failed."""
        meta = getattr(record, "dagster_meta", {})
        step = meta.get("step_key") or "run"
        message = meta.get("orig_message") or record.getMessage()
        line = f"{self.formatTime(record, '%H:%M:%S')}  {step:<17} {message}"
        event = meta.get("dagster_event")
        event_data = getattr(event, "event_specific_data", None)
        failed = getattr(event_data, "first_step_failure_event", None)
        if failed is not None:
            # A step's own output goes through a file whose end may be lost on a busy machine; this line is not.
            return f"{line}\n{failed.step_key}: {_reason(failed.step_failure_data.error)}"
        error = getattr(event_data, "error", None)
        if error is None:
            return line
        if not meta.get("step_key"):
            return f"{line}\n{_reason(error)}"
        return f"{line}\n{error.message if error.cls_name == 'Failure' else error.to_string()}"


def _reason(error: Any) -> str:
    """The root cause without its traceback."""
    if error is None:
        return "no reason given"
    while error.cause is not None:
        error = error.cause
    return str(error.message).strip()


def _to_standard_error(context: dg.InitLoggerContext) -> logging.Logger:
    """At INFO, because Dagster's own bookkeeping events are DEBUG."""
    logger = logging.Logger("stablellava_assets", logging.INFO)
    handler = logging.StreamHandler()
    handler.setFormatter(Readable())
    logger.addHandler(handler)
    return logger


readable_log = dg.LoggerDefinition(_to_standard_error, description="Readable progress lines.")
