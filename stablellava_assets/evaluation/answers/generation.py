"""Generates a checkpoint's answers to questions about images."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.models.memory import is_out_of_memory
from stablellava_assets.pictures.decoding import UndecodablePictureError, upright
from stablellava_assets.tables.pace import Pace, Progress
from stablellava_assets.text.conversations import (
    CHAT_ROLES,
    HUMAN,
    IMAGE_MARK,
    ChatMessage,
    Turn,
    content_of,
    marks_of,
    without_marks,
)

if TYPE_CHECKING:
    from PIL import Image
    from transformers import GenerationConfig, PreTrainedModel, ProcessorMixin


Encoded = bytes | Callable[[], bytes]
"""The bytes of an image, or what reads them when it is asked about."""


class InvalidQuestionError(ExplainedError, ValueError):
    """A question that cannot be put to a model; the message names it."""


@dataclass(frozen=True)
class ImageQuestion:
    """A question about one image or several.

    ``max_new_tokens`` limits its answer, if it has a limit of its own. ``history`` are earlier turns of the
    conversation. Together they hold an image mark for each image; without any mark, the only image goes before the
    question.
    """

    image_bytes: Encoded
    question: str
    max_new_tokens: int | None = None
    further_images: tuple[Encoded, ...] = ()
    history: tuple[Turn, ...] = ()

    @property
    def images(self) -> tuple[Encoded, ...]:
        """All images, in the order of their marks."""
        return (self.image_bytes, *self.further_images)

    @property
    def turns(self) -> list[Turn]:
        """The conversation up to the question."""
        return [*self.history, {"from": HUMAN, "value": self.question}]

    @property
    def messages(self) -> list[ChatMessage]:
        """The conversation as chat templates take it, with the images in the places of their marks."""
        if not any(marks_of(self.turns)):
            return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": self.question}]}]
        return [{"role": CHAT_ROLES[turn["from"]], "content": content_of(turn["value"])} for turn in self.turns]


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
    """Yield (index in ``questions``, answer), as :func:`batches_of_answers` yields them together."""
    return chain.from_iterable(
        batches_of_answers(model_path, questions, batch_size, max_new_tokens, progress, names, chat_template)
    )


def batches_of_answers(
    model_path: Path | str,
    questions: Sequence[ImageQuestion],
    batch_size: int,
    max_new_tokens: int,
    progress: Callable[[str], None],
    names: Sequence[str] | None = None,
    chat_template: str | None = None,
) -> Iterator[list[tuple[int, str]]]:
    """Yield each batch of (index in ``questions``, answer) as soon as it is finished.

    Decoding is greedy, whatever generation settings the checkpoint has, so answers are reproducible. Any Hugging Face
    folder, or ``name@revision`` on the hub, that ``AutoModelForImageTextToText`` loads can be used, LLaVA-1.5
    included. Questions go through the checkpoint's own chat template unless ``chat_template`` is given. ``names`` are
    used for questions in error messages. If a batch does not fit into memory, it and all later batches are halved.

    Raises:
        InvalidQuestionError: an image cannot be decoded, images and marks differ in number, or a question contains a
            special token of the model; it is named.
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
    _check(questions, names, processor)

    def prepared(batch: list[int]) -> Any:
        pictures = [[_picture(image, names[index]) for image in questions[index].images] for index in batch]
        texts = [
            processor.apply_chat_template(questions[index].messages, add_generation_prompt=True) for index in batch
        ]
        return _inputs(processor, pictures, texts)

    timer, done = Pace(), 0
    waiting = deque(_batches(questions, batch_size, max_new_tokens))
    # While a batch is answered, the images of the next one are decoded.
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(prepared, waiting[0][1]) if waiting else None
        while following is not None:
            limit, batch = waiting.popleft()
            inputs = following.result()
            following = thread.submit(prepared, waiting[0][1]) if waiting else None
            try:
                with torch.inference_mode():
                    generated = _generate(model, processor, inputs, limit)
            except Exception as error:
                if len(batch) == 1 or not is_out_of_memory(error):
                    raise
                most = len(batch) // 2
                progress(f"out of memory at {len(batch)} questions at once; going on with {most}")
                waiting = deque(_at_most(most, [(limit, batch), *waiting]))
                following = thread.submit(prepared, waiting[0][1])
                continue
            yield list(zip(batch, generated, strict=True))
            done += len(batch)
            if timer.is_due():
                progress(Progress(f"{done} of {len(questions)} questions answered", done, len(questions)))


def check_marks(asked: ImageQuestion, name: str) -> None:
    """See that there is a mark for each image, or one image and no mark.

    Raises:
        InvalidQuestionError: there is not; the question is named.
    """
    marks, images = sum(marks_of(asked.turns)), len(asked.images)
    if marks != images and (marks or images > 1 or asked.history):
        raise InvalidQuestionError(
            f"{name} has {marks} {IMAGE_MARK} marks and {images} pictures; write one mark for each picture"
        )


def _check(questions: Sequence[ImageQuestion], names: Sequence[str], processor: ProcessorMixin) -> None:
    """A special token in a question would end its turn, and a mark too many stand for an image that does not exist."""
    from stablellava_assets.models.special_tokens import special_tokens

    special = sorted(special_tokens(processor.tokenizer))
    for asked, name in zip(questions, names, strict=True):
        check_marks(asked, name)
        said = [without_marks(turn["value"]) for turn in asked.turns]
        if token := next((token for token in special if any(token in text for text in said)), None):
            raise InvalidQuestionError(
                f"{name} holds a special token of the model's tokenizer, {token}; take it out of the question"
            )


def _batches(
    questions: Sequence[ImageQuestion], batch_size: int, max_new_tokens: int
) -> Iterator[tuple[int, list[int]]]:
    """Indices of questions of similar length, about equally many images and of equal limit, with that limit."""
    alike: dict[tuple[int, int], list[int]] = {}
    for index in sorted(range(len(questions)), key=lambda index: len(questions[index].question)):
        asked = questions[index]
        alike.setdefault((asked.max_new_tokens or max_new_tokens, len(asked.images)), []).append(index)
    return _at_most(batch_size, ((limit, batch) for (limit, _), batch in alike.items()))


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


def _inputs(processor: ProcessorMixin, pictures: list[list[Image.Image]], texts: list[str]) -> Any:
    from stablellava_assets.models.special_tokens import adds_special_tokens

    return processor(
        images=pictures,
        text=texts,
        padding=True,
        add_special_tokens=adds_special_tokens(processor, texts[0]),
        return_tensors="pt",
    )


def _generate(model: PreTrainedModel, processor: ProcessorMixin, inputs: Any, max_new_tokens: int) -> list[str]:
    inputs = inputs.to(model.device, model.dtype)
    generated = model.generate(**inputs, max_new_tokens=max_new_tokens)
    new = generated[:, inputs["input_ids"].shape[1] :]
    return [text.strip() for text in processor.batch_decode(new, skip_special_tokens=True)]


def _picture(data: Encoded, name: str) -> Image.Image:
    try:
        return upright(data() if callable(data) else data)
    except UndecodablePictureError as error:
        raise InvalidQuestionError(f"the picture of {name} cannot be decoded: {error}") from error
