"""The probability that a vision-language model assigns to a given answer to a question about an image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from transformers import PreTrainedModel, ProcessorMixin


class Exchange(NamedTuple):
    """A question about an image, an answer, and the character range of the answer that is
    scored given what precedes it."""

    picture: Image.Image
    question: str
    answer: str
    part: tuple[int, int]


def answer_probabilities(
    model: PreTrainedModel, processor: ProcessorMixin, exchanges: Sequence[Exchange]
) -> list[float]:
    """The probability (0 to 1) of the scored part of each answer, in order, from one forward pass over all exchanges.

    Works with any model that ``AutoModelForImageTextToText`` loads. Questions and answers go through the model's own
    chat template. The end-of-turn token is not scored, so that "Yes" also covers longer answers that begin with it.
    """
    import torch

    from stablellava_assets.models.special_tokens import adds_special_tokens

    texts, answers = zip(*_rendered(processor, exchanges), strict=True)
    tokenizer = processor.tokenizer
    # Pad on the right, so that every token keeps the position it has on its own.
    tokenizer.padding_side = "right"
    # One list per text: processors of multi-image models use the nesting to assign images to texts.
    pictures = [[exchange.picture] for exchange in exchanges]
    special = adds_special_tokens(processor, texts[0])
    inputs: Any = processor(
        images=pictures, text=list(texts), padding=True, add_special_tokens=special, return_tensors="pt"
    )
    inputs = inputs.to(model.device, model.dtype)
    encoded = tokenizer(list(texts), add_special_tokens=special, return_offsets_mapping=True)
    spans = _answer_spans(encoded["offset_mapping"], answers, inputs["attention_mask"].sum(1).tolist())
    with torch.inference_mode():
        logits = model(**inputs, use_cache=False).logits
    return [math.exp(_log_probability(logits[row], inputs["input_ids"][row], span)) for row, span in enumerate(spans)]


def _log_probability(logits: torch.Tensor, tokens: torch.Tensor, span: tuple[int, int]) -> float:
    """Sum of log probabilities of the tokens in ``span``; each is predicted at the position before it."""
    start, end = span
    predicted = logits[start - 1 : end - 1].float().log_softmax(-1)
    return float(predicted.gather(-1, tokens[start:end, None]).sum())


def _rendered(processor: ProcessorMixin, batch: Sequence[Exchange]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Each conversation's text, and the character range of the answer's scored part."""
    questions = [
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": exchange.question}]}]
        for exchange in batch
    ]
    replies = [[{"role": "assistant", "content": [{"type": "text", "text": exchange.answer}]}] for exchange in batch]
    texts = processor.apply_chat_template([one + other for one, other in zip(questions, replies, strict=True)])
    for exchange, text in zip(batch, texts, strict=True):
        # The answer is the last occurrence, in case the question quotes it.
        answer = text.rindex(exchange.answer)
        first, last = exchange.part
        yield text, (answer + first, answer + last)


def _answer_spans(
    encoded: Sequence[Sequence[tuple[int, int]]], answers: Sequence[tuple[int, int]], lengths: Sequence[int]
) -> list[tuple[int, int]]:
    """Token ranges of the answers in the model's input, where the image takes many tokens before them.

    ``encoded`` has the character range (start, end) of every token of the text alone.
    """
    spans = []
    for offsets, (start, end), length in zip(encoded, answers, lengths, strict=True):
        inside = [at for at, (first, last) in enumerate(offsets) if first < end and last > start]
        # Counted from the end, because only the part before the answer is longer in the model's input.
        spans.append((length - len(offsets) + inside[0], length - len(offsets) + inside[-1] + 1))
    return spans
