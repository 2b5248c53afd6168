"""Asks a checkpoint questions about pictures."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image
    from transformers import PreTrainedModel, ProcessorMixin

_SECONDS_BETWEEN_REPORTS = 5.0


@dataclass(frozen=True)
class Asked:
    """A question about one picture."""

    image_bytes: bytes
    question: str


def answer(
    model_path: Path | str,
    questions: Sequence[Asked],
    batch_size: int,
    max_new_tokens: int,
    progress: Callable[[str], None],
) -> list[str]:
    """The answers, in the order of ``questions``, by greedy decoding, so that the same checkpoint repeats them.

    Any Hugging Face folder, or ``name@revision`` on the hub, that ``AutoModelForImageTextToText`` reads will do, LLaVA-1.5 included; questions are
    put through the checkpoint's own chat template.

    Raises:
        ValueError: a picture cannot be decoded; its place in ``questions`` is named.
    """
    import torch

    from stablellava_assets.tuning.checkpoints import load_checkpoint

    model, processor = load_checkpoint(model_path)
    processor.tokenizer.padding_side = "left"
    answers = [""] * len(questions)
    by_length = sorted(range(len(questions)), key=lambda index: len(questions[index].question))
    reported = time.monotonic()
    for start in range(0, len(by_length), batch_size):
        batch = by_length[start : start + batch_size]
        pictures = [_picture(questions[index].image_bytes, index) for index in batch]
        texts = [_prompt(questions[index].question, processor) for index in batch]
        with torch.inference_mode():
            said = _generate(model, processor, pictures, texts, max_new_tokens)
        for index, text in zip(batch, said, strict=True):
            answers[index] = text
        if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            progress(f"{start + len(batch)} of {len(questions)} questions answered")
    return answers


def _prompt(question: str, processor: ProcessorMixin) -> str:
    content = [{"type": "image"}, {"type": "text", "text": question}]
    text: str = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    return text


def _generate(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    pictures: list[Image.Image],
    texts: list[str],
    max_new_tokens: int,
) -> list[str]:
    inputs: Any = processor(images=[[picture] for picture in pictures], text=texts, padding=True, return_tensors="pt")
    inputs = inputs.to(model.device, model.dtype)
    generated = model.generate(**inputs, do_sample=False, max_new_tokens=max_new_tokens)
    new = generated[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in processor.batch_decode(new, skip_special_tokens=True)]


def _picture(data: bytes, index: int) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(io.BytesIO(data)).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"the picture of question {index} cannot be decoded: {error}") from error
