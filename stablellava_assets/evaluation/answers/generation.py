"""Generates a checkpoint's answers to questions about images."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.models.memory import is_out_of_memory
from stablellava_assets.pictures.decoding import UndecodablePictureError, upright
from stablellava_assets.tables.pace import Pace, Progress

if TYPE_CHECKING:
    from PIL import Image
    from transformers import GenerationConfig, PreTrainedModel, ProcessorMixin


class InvalidQuestionError(ExplainedError, ValueError):
    """A question that cannot be put to a model; the message names it."""


@dataclass(frozen=True)
class ImageQuestion:
    """A question about one image, given by its bytes or by what reads them when it is asked.

    ``max_new_tokens`` limits its answer, if it has a limit of its own.
    """

    image_bytes: bytes | Callable[[], bytes]
    question: str
    max_new_tokens: int | None = None


def answer(
    model_path: Path | str,
    questions: Sequence[ImageQuestion],
    batch_size: int,
    max_new_tokens: int,
    progress: Callable[[str], None],
) -> list[str]:
    """The answers in the order of ``questions``; otherwise as :func:`answers_of`."""
    answers = [""] * len(questions)
    for index, text in answers_of(model_path, questions, batch_size, max_new_tokens, progress):
        answers[index] = text
    return answers


def answers_of(
    model_path: Path | str,
    questions: Sequence[ImageQuestion],
    batch_size: int,
    max_new_tokens: int,
    progress: Callable[[str], None],
    names: Sequence[str] | None = None,
    chat_template: str | None = None,
) -> Iterator[tuple[int, str]]:
    """Yield (index in ``questions``, answer) as batches finish.

    Decoding is greedy, whatever generation settings the checkpoint has, so answers are reproducible. Any Hugging Face
    folder, or ``name@revision`` on the hub, that ``AutoModelForImageTextToText`` loads can be used, LLaVA-1.5
    included. Questions go through the checkpoint's own chat template unless ``chat_template`` is given. ``names`` are
    used for questions in error messages. If a batch does not fit into memory, it and all later batches are halved.

    Raises:
        InvalidQuestionError: an image cannot be decoded, or a question contains a special
            token of the model; it is named.
        torch.OutOfMemoryError: memory does not hold a single question.
    """
    import torch

    from stablellava_assets.models.checkpoints import load_checkpoint

    names = [f"question {index}" for index in range(len(questions))] if names is None else names
    model, processor = load_checkpoint(model_path)
    processor.tokenizer.padding_side = "left"
    if chat_template is not None:
        processor.chat_template = chat_template
    model.generation_config = _greedy(model.generation_config)
    _refuse_special_tokens(questions, names, processor)
    timer, done = Pace(), 0
    waiting = deque(_batches(questions, batch_size, max_new_tokens))
    while waiting:
        limit, batch = waiting.popleft()
        pictures = [_picture(questions[index].image_bytes, names[index]) for index in batch]
        texts = [_prompt(questions[index].question, processor) for index in batch]
        try:
            with torch.inference_mode():
                generated = _generate(model, processor, pictures, texts, limit)
        except Exception as error:
            if len(batch) == 1 or not is_out_of_memory(error):
                raise
            most = len(batch) // 2
            progress(f"out of memory at {len(batch)} questions at once; going on with {most}")
            waiting = deque(_at_most(most, [(limit, batch), *waiting]))
            continue
        yield from zip(batch, generated, strict=True)
        done += len(batch)
        if timer.is_due():
            progress(Progress(f"{done} of {len(questions)} questions answered", done, len(questions)))


def _refuse_special_tokens(questions: Sequence[ImageQuestion], names: Sequence[str], processor: ProcessorMixin) -> None:
    """A special token in a question would end its turn, or stand for an image that does not exist."""
    from stablellava_assets.models.special_tokens import special_tokens

    special = sorted(special_tokens(processor.tokenizer))
    for asked, name in zip(questions, names, strict=True):
        if token := next((token for token in special if token in asked.question), None):
            raise InvalidQuestionError(
                f"{name} holds a special token of the model's tokenizer, {token}; take it out of the question"
            )


def _batches(
    questions: Sequence[ImageQuestion], batch_size: int, max_new_tokens: int
) -> Iterator[tuple[int, list[int]]]:
    """Indices of questions of similar length and equal limit, with that limit."""
    by_limit: dict[int, list[int]] = {}
    for index in sorted(range(len(questions)), key=lambda index: len(questions[index].question)):
        by_limit.setdefault(questions[index].max_new_tokens or max_new_tokens, []).append(index)
    return _at_most(batch_size, by_limit.items())


def _at_most(count: int, batches: Iterable[tuple[int, list[int]]]) -> Iterator[tuple[int, list[int]]]:
    """The same batches, split into at most ``count`` questions."""
    for limit, batch in batches:
        for start in range(0, len(batch), count):
            yield limit, batch[start : start + count]


def _greedy(own: GenerationConfig) -> GenerationConfig:
    """Keep only the special tokens of a checkpoint's generation settings: no beams, penalties or sampling."""
    from transformers import GenerationConfig

    return GenerationConfig(
        bos_token_id=own.bos_token_id, eos_token_id=own.eos_token_id, pad_token_id=own.pad_token_id, do_sample=False
    )


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
    from stablellava_assets.models.special_tokens import adds_special_tokens

    inputs: Any = processor(
        images=[[picture] for picture in pictures],
        text=texts,
        padding=True,
        add_special_tokens=adds_special_tokens(processor, texts[0]),
        return_tensors="pt",
    )
    inputs = inputs.to(model.device, model.dtype)
    generated = model.generate(**inputs, max_new_tokens=max_new_tokens)
    new = generated[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in processor.batch_decode(new, skip_special_tokens=True)]


def _picture(data: bytes | Callable[[], bytes], name: str) -> Image.Image:
    try:
        return upright(data() if callable(data) else data)
    except UndecodablePictureError as error:
        raise InvalidQuestionError(f"the picture of {name} cannot be decoded: {error}") from error
