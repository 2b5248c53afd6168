"""What a profile may say about the model and its training; every hyper-parameter of both stages stands here."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from stablellava_assets.yaml_documents import Document


class StageSettings(Document):
    """One stage of training: how often every picture is seen, and how fast the weights move."""

    passes: float = Field(gt=0, le=1000, description="How often every training picture is seen.")
    pictures_per_step: int = Field(24, ge=1, le=4096, description="Pictures an optimizer step, each with all its rows.")
    learning_rate: float = Field(6e-3, gt=0, le=1, description="AdamW: embeddings, norms and biases.")
    matrix_learning_rate: float = Field(6e-3, gt=0, le=1, description="Muon: the weight matrices.")
    weight_decay: float = Field(0.05, ge=0, le=1)
    warmup: float = Field(0.05, ge=0, lt=1, description="Share of the steps in which the learning rate rises.")
    shift: int = Field(0, ge=0, le=64, description="Pictures are moved by up to so many pixels, each time anew.")


class EmbeddedModelSettings(Document):
    """A LLaVA small enough to be trained from nothing on two processor cores, and how it becomes the base.

    The base depends on these settings, on the catalog and on the painter, and on nothing else.
    """

    kind: Literal["embedded"]
    image_size: int = Field(72, ge=16, le=1024, description="Side of the picture the model sees, pixels.")
    patch_size: int = Field(12, ge=4, le=64, description="Side of one vision token, pixels.")
    vision_layers: int = Field(4, ge=1, le=48)
    vision_width: int = Field(128, ge=16, le=4096)
    text_layers: int = Field(2, ge=1, le=48)
    text_width: int = Field(128, ge=16, le=4096)
    head_width: int = Field(32, ge=8, le=256, description="Width of one attention head.")
    context: int = Field(512, ge=64, le=32_768, description="Longest sequence, vision tokens included.")
    alignment_pictures: int = Field(8000, ge=1, description="Pictures the base is aligned on.")
    alignment: StageSettings

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.image_size % self.patch_size:
            raise ValueError(f"image_size {self.image_size} is not a multiple of patch_size {self.patch_size}")
        for name in ("vision_width", "text_width"):
            if getattr(self, name) % self.head_width:
                raise ValueError(f"{name} {getattr(self, name)} is not a multiple of head_width {self.head_width}")
        if (self.image_size // self.patch_size) ** 2 >= self.context:
            raise ValueError(f"context {self.context} leaves no room for text after the vision tokens")
        return self


class TuningSettings(Document):
    """The model that is taught, and how."""

    model: EmbeddedModelSettings
    stage: StageSettings
    seed: int = Field(0, ge=0, description="Seed of the starting weights, the order of the pictures and their shifts.")
