"""What a profile may say about its painter."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stablellava_assets.yaml_documents import Document


class EmbeddedPainterSettings(Document):
    """Small scenes composed of the Twemoji artwork, on the processor and without a network."""

    kind: Literal["embedded"]
    size: int = Field(144, ge=48, le=1024, description="Width and height of a picture, pixels.")
    workers: int | None = Field(None, ge=1, description="Processes that paint; unset: one a processor core.")


PainterSettings = EmbeddedPainterSettings
