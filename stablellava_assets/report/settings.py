"""What a profile may say about the report."""

from __future__ import annotations

from pydantic import Field

from stablellava_assets.inputs.yaml_documents import Document


class ReportSettings(Document):
    """The report on a checkpoint. These settings change no row."""

    examples: int = Field(
        24,
        ge=0,
        le=400,
        description=(
            "Answers per benchmark that tuning fixed, and as many that it broke, shown with their images; the others "
            "are counted."
        ),
    )
    picture_side: int = Field(160, ge=32, le=512, description="Maximum side length of these images, in pixels.")
