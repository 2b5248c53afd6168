"""Gates of ``llava_checkpoint``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stablellava_assets.checks.gates import Gate, Suite, always, unique_ids
from stablellava_assets.tables.schemas import LLAVA_CHECKPOINT

if TYPE_CHECKING:
    import pandas as pd


def _loss(frame: pd.DataFrame) -> pd.DataFrame:
    """Adds ``first_loss`` and ``last_loss`` of the curve."""
    return frame.assign(
        first_loss=[curve[0]["loss"] for curve in frame["loss_curve"]],
        last_loss=[curve[-1]["loss"] for curve in frame["loss_curve"]],
    )


SUITE = Suite(
    LLAVA_CHECKPOINT,
    (
        unique_ids(LLAVA_CHECKPOINT),
        Gate(
            "pairs_were_seen",
            "The model was tuned on at least one pair.",
            "ExpectColumnValuesToBeBetween",
            always(column="pairs", min_value=1),
        ),
        Gate(
            "loss_fell",
            "The training loss ended below where it began; a loss that is not a number fails too.",
            "ExpectColumnPairValuesAToBeGreaterThanB",
            always(column_A="first_loss", column_B="last_loss"),
        ),
    ),
    _loss,
)
