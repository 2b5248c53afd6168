"""Asks a checkpoint questions about pictures."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image
    from transformers import PreTrainedModel, ProcessorMixin

_SECONDS_BETWEEN_REPORTS = 5.0


@dataclass(frozen=True)
class Asked:
    """A question about one picture. ``max_new_tokens`` is how long its answer may be, where that is its own matter."""

    image_bytes: bytes
    question: str
    max_new_tokens: int | None = None


def answer(
    model_path: Path | str,
    questions: Sequence[Asked],
    batch_size: int,
    max_new_tokens: int,
    progress: Callable[[str], None],
) -> list[str]:
    """The answers, in the order of ``questions``; else as :func:`answers_of`."""
    answers = [""] * len(questions)
    for index, text in answers_of(model_path, questions, batch_size, max_new_tokens, progress):
        answers[index] = text
    return answers


def answers_of(
    model_path: Path | str,
    questions: Sequence[Asked],
    batch_size: int,
    max_new_tokens: int,
    progress: Callable[[str], None],
    names: Sequence[str] | None = None,
) -> Iterator[tuple[int, str]]:
    """Each answer with its place in ``questions``, as batches finish.

    Greedy decoding, so that the same checkpoint repeats them. Any Hugging Face folder, or ``name@revision`` on the hub, that
    ``AutoModelForImageTextToText`` reads will do, LLaVA-1.5 included; questions are put through the checkpoint's own chat
    template. ``names`` are what errors call the questions.

    Raises:
        ValueError: a picture cannot be decoded; its question is named.
    """
    import torch

    from stablellava_assets.tuning.checkpoints import load_checkpoint

    names = [f"question {index}" for index in range(len(questions))] if names is None else names
    model, processor = load_checkpoint(model_path)
    processor.tokenizer.padding_side = "left"
    reported, done = time.monotonic(), 0
    for limit, batch in _batches(questions, batch_size, max_new_tokens):
        pictures = [_picture(questions[index].image_bytes, names[index]) for index in batch]
        texts = [_prompt(questions[index].question, processor) for index in batch]
        with torch.inference_mode():
            said = _generate(model, processor, pictures, texts, limit)
        yield from zip(batch, said, strict=True)
        done += len(batch)
        if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            progress(f"{done} of {len(questions)} questions answered")


def _batches(questions: Sequence[Asked], batch_size: int, max_new_tokens: int) -> Iterator[tuple[int, list[int]]]:
    """Places of questions of like length and one limit, with that limit."""
    by_limit: dict[int, list[int]] = {}
    for index in sorted(range(len(questions)), key=lambda index: len(questions[index].question)):
        by_limit.setdefault(questions[index].max_new_tokens or max_new_tokens, []).append(index)
    for limit, places in by_limit.items():
        for start in range(0, len(places), batch_size):
            yield limit, places[start : start + batch_size]


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
    from stablellava_assets.tuning.checkpoints import adds_special_tokens

    inputs: Any = processor(
        images=[[picture] for picture in pictures],
        text=texts,
        padding=True,
        add_special_tokens=adds_special_tokens(processor, texts[0]),
        return_tensors="pt",
    )
    inputs = inputs.to(model.device, model.dtype)
    generated = model.generate(**inputs, do_sample=False, max_new_tokens=max_new_tokens)
    new = generated[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in processor.batch_decode(new, skip_special_tokens=True)]


def _picture(data: bytes, name: str) -> Image.Image:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        # Cameras store how they were held beside the pixels.
        return ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"the picture of {name} cannot be decoded: {error}") from error
