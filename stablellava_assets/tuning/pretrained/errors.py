"""Errors in tuning a pretrained checkpoint that the user can fix."""

from __future__ import annotations

from stablellava_assets.inputs.explained import ExplainedError


class PretrainedTuningError(ExplainedError, RuntimeError):
    """The checkpoint cannot be tuned. The message names the setting or the row at fault and the remedy."""
