"""What a profile may say about the gallery."""

from __future__ import annotations

from pydantic import Field

from stablellava_assets.inputs.yaml_documents import Document


class GallerySettings(Document):
    """The page on which people look at pairs. It changes no row."""

    pairs_per_batch: int = Field(
        100,
        ge=0,
        description="Pairs of a batch that filtered_pairs puts on the page: one of every reason and note, as far "
        "as they fit, and half of them kept; those that people decided about come on top. 0 publishes no page; `stablellava gallery` shows every pair.",
    )
    picture_side: int = Field(
        288,
        ge=32,
        le=2048,
        description="Longest side in pixels; larger pictures are scaled down, others copied as they are.",
    )
    borderline: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="How near a score must be to its threshold, relative to it, to count as borderline.",
    )
