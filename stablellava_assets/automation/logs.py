"""What a run prints: one short line an event that a person follows, warnings and errors in full."""

import logging

import dagster as dg


class _Readable(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """The time, the step and the message, without Dagster's job name and run id."""
        meta = getattr(record, "dagster_meta", {})
        step = meta.get("step_key") or "run"
        message = meta.get("orig_message") or record.getMessage()
        line = f"{self.formatTime(record, '%H:%M:%S')}  {step:<17} {message}"
        event = meta.get("dagster_event")
        error = getattr(getattr(event, "event_specific_data", None), "error", None)
        if error is None or not meta.get("step_key"):
            return line  # The run's failure repeats its step's.
        return f"{line}\n{error.message if error.cls_name == 'Failure' else error.to_string()}"


def _to_standard_error(context: dg.InitLoggerContext) -> logging.Logger:
    """At INFO: Dagster's own bookkeeping events are DEBUG and stay out."""
    logger = logging.Logger("stablellava_assets", logging.INFO)
    handler = logging.StreamHandler()
    handler.setFormatter(_Readable())
    logger.addHandler(handler)
    return logger


readable_log = dg.LoggerDefinition(_to_standard_error, description="Progress a person can follow.")
