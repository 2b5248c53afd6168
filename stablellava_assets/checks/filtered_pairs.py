"""Gates of ``filtered_pairs``: the frame holds the kept and the rejected pairs of a partition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stablellava_assets.checks.gates import Gate, Suite, always, has_rows, unique_ids
from stablellava_assets.tables.schemas import FILTERED_PAIRS

if TYPE_CHECKING:
    import pandas as pd


def _verdicts(frame: pd.DataFrame) -> pd.DataFrame:
    """Adds ``verdict`` (kept or rejected) and ``unexplained`` (reasons less explanations)."""
    reasons = [len(reasons) for reasons in frame["reasons"]]
    explanations = [len(explanations) for explanations in frame["explanations"]]
    return frame.assign(
        verdict=["rejected" if count else "kept" for count in reasons],
        unexplained=[a - b for a, b in zip(reasons, explanations, strict=True)],
    )


SUITE = Suite(
    FILTERED_PAIRS,
    (
        has_rows(),
        unique_ids(FILTERED_PAIRS),
        Gate(
            "enough_pairs_kept",
            "At least the profile's gates.min_kept_pairs of the pairs were kept.",
            "ExpectColumnValuesToBeInSet",
            lambda settings: {"column": "verdict", "value_set": ["kept"], "mostly": settings.min_kept_pairs},
        ),
        Gate(
            "rejections_are_explained",
            "Every reason against a pair comes with its explanation.",
            "ExpectColumnValuesToBeInSet",
            always(column="unexplained", value_set=[0]),
        ),
    ),
    _verdicts,
)
