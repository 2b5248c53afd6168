"""What a profile may say about sizing the next batch by the last scores."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stablellava_assets.inputs.yaml_documents import Document


class PlanningSettings(Document):
    """What batches are planned from, and how far the size of an ability's batch may be from ``rows_per_batch``."""

    benchmark: Literal["ai", "photos"] = Field(
        "ai", description="Benchmark whose scores count: the painted one, or the real photographs."
    )
    min_factor: float = Field(
        0.5, gt=0, le=1, description="Of rows_per_batch, what an ability gets at least, however good it is."
    )
    max_factor: float = Field(
        2.0, ge=1, le=100, description="Of rows_per_batch, what an ability gets at most, however much it lacks."
    )
