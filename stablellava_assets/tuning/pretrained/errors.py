"""What stops the tuning of a checkpoint, said so that a person knows what to change."""

from __future__ import annotations

from stablellava_assets.inputs.explained import ExplainedError


class PretrainedTuningError(ExplainedError, RuntimeError):
    """The checkpoint cannot be tuned; the message names the setting or the row at fault and what to do."""
