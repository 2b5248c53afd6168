"""Gates of ``llava_checkpoint``."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, nan
from typing import TYPE_CHECKING

from stablellava_assets.checks.gates import Gate, GateSettings, Suite, always, unique_ids
from stablellava_assets.tables.schemas import LLAVA_CHECKPOINT
from stablellava_assets.tables.score_rows import LossPoint

if TYPE_CHECKING:
    import pandas as pd


_FEWEST = 5
"""Minimum number of points of a loss curve to compare its ends; with fewer, the last may well be above the first."""


def _first_and_last_loss(curve: Sequence[LossPoint] | None) -> tuple[float, float]:
    """The first and the last loss; both NaN if the curve is too short."""
    if curve is None or not len(curve):
        return nan, nan
    first, last = (nan if curve[end]["loss"] is None else float(curve[end]["loss"]) for end in (0, -1))
    if not (isfinite(first) and isfinite(last)):
        return first if isfinite(first) else 0.0, nan
    return (first, last) if len(curve) >= _FEWEST else (nan, nan)


def _loss(frame: pd.DataFrame) -> pd.DataFrame:
    ends = [_first_and_last_loss(curve) for curve in frame["loss_curve"]]
    return frame.assign(first_loss=[first for first, _ in ends], last_loss=[last for _, last in ends])


def _measure(frame: pd.DataFrame, settings: GateSettings) -> dict[str, float | None]:
    curves_with_loss = float(frame["first_loss"].notna().sum())
    return {"told_curves": curves_with_loss or None}


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
            "The training loss decreased; a loss that is not a number fails too.",
            "ExpectColumnPairValuesAToBeGreaterThanB",
            always(column_A="first_loss", column_B="last_loss"),
            "told_curves",
            unmeasured_message="too few steps to tell",
        ),
    ),
    _loss,
    _measure,
)
