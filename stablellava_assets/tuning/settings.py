"""What a profile may say about the model and its training; every hyper-parameter of both stages stands here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from stablellava_assets.inputs.yaml_documents import Document
from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings


class StageSettings(Document):
    """One training stage: passes, batch size and learning rates."""

    passes: float = Field(gt=0, le=1000, description="Passes over the rows, texts or images.")
    batch_size: int = Field(48, ge=1, le=4096, description="Samples per optimizer step; see rows_per_look.")
    rows_per_look: int = Field(
        2,
        ge=1,
        le=64,
        description="Maximum number of rows about one image in a sample; further rows are in other samples.",
    )
    learning_rate: float = Field(6e-3, gt=0, le=1, description="AdamW learning rate of embeddings, norms and biases.")
    matrix_learning_rate: float = Field(8e-3, gt=0, le=1, description="Muon learning rate of the weight matrices.")
    tower_rate: float = Field(
        0.2,
        ge=0,
        le=1,
        description="Factor on both learning rates for the vision tower, which is already trained; 0 freezes it.",
    )
    weight_decay: float = Field(0.05, ge=0, le=1)
    warmup: float = Field(0.05, ge=0, lt=1, description="Share of the steps used for warm-up.")
    shift: int = Field(0, ge=0, le=64, description="Maximum random shift of the images in pixels, drawn for each pass.")

    def steps_over(self, count: int) -> tuple[int, int]:
        """Number of optimizer steps, and of samples per step, for ``count`` samples."""
        per_step = min(self.batch_size, count)
        return max(1, round(self.passes * count / per_step)), per_step


class EmbeddedModelSettings(Document):
    """A LLaVA small enough to be trained from scratch on two processor cores, and the training of its base.

    The base depends on these settings, on the catalog and on the painter, and on nothing else.
    """

    kind: Literal["embedded"]
    image_size: int = Field(72, ge=16, le=1024, description="Side length of the model's input image, in pixels.")
    patch_size: int = Field(4, ge=2, le=64, description="Side length of the vision tower's first patches, in pixels.")
    vision_widths: tuple[int, ...] = Field(
        (32, 64, 128, 192), min_length=1, max_length=6, description="Channels per stage; each stage halves the grid."
    )
    vision_depths: tuple[int, ...] = Field((1, 1, 2, 1), min_length=1, max_length=6, description="Blocks per stage.")
    text_layers: int = Field(2, ge=1, le=48)
    text_width: int = Field(96, ge=16, le=4096)
    head_width: int = Field(32, ge=8, le=256, description="Width of one attention head.")
    context: int = Field(
        512, ge=64, le=32_768, description="Maximum sequence length in tokens, including vision tokens."
    )
    base_pictures: int = Field(20_800, ge=1, description="Training images of the base.")
    base_texts: int = Field(130_000, ge=1, description="Training sentences of the language model.")
    repeated_texts: int = Field(
        60_000, ge=0, description="How many of them it reads again among the captions, so that it does not forget them."
    )
    vision: StageSettings = Field(
        StageSettings(passes=5, matrix_learning_rate=1.2e-2),
        description="Training of the vision tower: predicting caption phrases from images.",
    )
    language: StageSettings = Field(
        # At twice these rates it never learns to look up which thing was named where.
        StageSettings(passes=1, batch_size=32, learning_rate=2e-3, matrix_learning_rate=2e-3),
        description="Training of the language model: sentences and questions about them.",
    )
    alignment: StageSettings = Field(
        StageSettings(passes=1, learning_rate=2e-3, matrix_learning_rate=2e-3, tower_rate=0),
        description="Training of both together: captions of one image and of several, and texts.",
    )

    @property
    def vision_tokens(self) -> int:
        """Tokens of one picture."""
        side = self.image_size // self.patch_size
        for _ in self.vision_widths[1:]:
            side //= 2
        return side * side

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.vision_widths) != len(self.vision_depths):
            raise ValueError("vision_widths and vision_depths need one value per stage, so equally many")
        if self.text_width % self.head_width:
            raise ValueError(f"text_width {self.text_width} is not a multiple of head_width {self.head_width}")
        if not self.vision_tokens:
            raise ValueError(
                f"image_size {self.image_size} leaves no vision token after {len(self.vision_widths)} stages"
            )
        if self.vision_tokens >= self.context:
            raise ValueError(f"context {self.context} leaves no room for text after the vision tokens")
        return self


class TuningSettings(Document):
    """The model and its tuning."""

    model: EmbeddedModelSettings
    stage: StageSettings
    seed: int = Field(0, ge=0, description="Seed of the initial weights, the image order and the shifts.")


def _kind(tuning: Any) -> Any:
    """``tuning.model.kind``, by which the rest of the section is read."""
    model = tuning.get("model") if isinstance(tuning, Mapping) else getattr(tuning, "model", None)
    kind = model.get("kind") if isinstance(model, Mapping) else getattr(model, "kind", None)
    return "pretrained" if kind == "pretrained" else "embedded"


AnyTuningSettings = Annotated[
    Annotated[TuningSettings, Tag("embedded")] | Annotated[PretrainedTuningSettings, Tag("pretrained")],
    Discriminator(_kind),
]
"""How a model is tuned, of either kind."""
