"""What a profile may say about sizing the next batch by the last scores."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stablellava_assets.inputs.yaml_documents import Document


class PlanningSettings(Document):
    """Batches sized by scores: the benchmark, and the range of an ability's batch size around ``rows_per_batch``."""

    benchmark: Literal["ai", "photos"] = Field(
        "ai", description="Benchmark whose scores are used: ai (synthesized images) or photos (real photographs)."
    )
    min_factor: float = Field(0.5, gt=0, le=1, description="Minimum rows of an ability, as a factor of rows_per_batch.")
    max_factor: float = Field(
        2.0, ge=1, le=100, description="Maximum rows of an ability, as a factor of rows_per_batch."
    )
    errors: bool = Field(
        False,
        description=(
            "Whether a batch has more of what the last model gets wrong: subjects, and what they are mistaken for. "
            "Needs benchmark.diagnosis_items_per_kind."
        ),
    )
