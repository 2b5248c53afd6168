"""What a profile may say about the gallery."""

from __future__ import annotations

from pydantic import Field

from stablellava_assets.inputs.yaml_documents import Document


class GallerySettings(Document):
    """The gallery of pairs. These settings change no row."""

    pairs_per_batch: int = Field(
        100,
        ge=0,
        description=(
            "Pairs per batch on the page of filtered_pairs: one of every reason and note, as far as they fit, and "
            "half of them kept; pairs with human decisions are added to these. 0 publishes no page; `stablellava "
            "gallery` shows every pair."
        ),
    )
    picture_side: int = Field(
        288,
        ge=32,
        le=2048,
        description="Maximum side length in pixels; larger images are scaled down, others are copied.",
    )
    borderline: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Maximum distance of a borderline score from its threshold, relative to the threshold.",
    )
