"""A model of a few thousand weights and conversations about flat-colored pictures, for tests in well under a second."""

from __future__ import annotations

import io

from PIL import Image
from transformers import FastVlmForConditionalGeneration, LlavaProcessor

from stablellava_assets.text.conversations import Turn
from stablellava_assets.tuning.embedded.embedded_model import build_model, build_processor
from stablellava_assets.tuning.embedded.tokenizer import build_tokenizer
from stablellava_assets.tuning.embedded.training_set import TrainingExample
from stablellava_assets.tuning.settings import EmbeddedModelSettings, StageSettings, TuningSettings

COLORS = ("red", "lime", "blue", "yellow")
STAGE = StageSettings(passes=1, batch_size=4, learning_rate=6e-3, matrix_learning_rate=6e-3)
MODEL = EmbeddedModelSettings(
    kind="embedded",
    image_size=16,
    patch_size=4,
    vision_widths=(16, 32),
    vision_depths=(1, 1),
    text_layers=1,
    text_width=32,
    head_width=16,
    context=96,
    base_pictures=8,
    base_texts=8,
    vision=STAGE,
    language=STAGE,
    alignment=STAGE,
)
SETTINGS = TuningSettings(model=MODEL, stage=STAGE.model_copy(update={"passes": 20, "shift": 1}))


def model_and_processor(seed: int = 0) -> tuple[FastVlmForConditionalGeneration, LlavaProcessor]:
    words = [f" {color} USER: ASSISTANT: What color is it? Is it It is Yes, No." for color in COLORS]
    tokenizer = build_tokenizer([*words, "USER: \n ASSISTANT:", "What", "Is"], MODEL.context)
    return build_model(MODEL, tokenizer, seed), build_processor(MODEL, tokenizer)


def picture(color: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), color).save(buffer, "PNG")
    return buffer.getvalue()


def turns(*texts: str) -> list[Turn]:
    speakers = ("human", "gpt") * (len(texts) // 2)
    return [{"from": speaker, "value": text} for speaker, text in zip(speakers, texts, strict=True)]


def examples() -> list[TrainingExample]:
    return [
        TrainingExample([color], [picture(color)], conversation)
        for color in COLORS
        for conversation in (
            turns("<image>\nWhat color is it?", f"It is {color}."),
            turns(f"Is it {color}?\n<image>", f"Yes, it is {color}."),
        )
    ]
