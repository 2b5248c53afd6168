"""How probable an answer is to a question about a picture: the probability a vision-language model gives its words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from transformers import PreTrainedModel, ProcessorMixin


class Exchange(NamedTuple):
    """A question about a picture, an answer, and which characters of it are asked for, given those before them."""

    picture: Image.Image
    question: str
    answer: str
    part: tuple[int, int]


def answer_probabilities(
    model: PreTrainedModel, processor: ProcessorMixin, exchanges: Sequence[Exchange]
) -> list[float]:
    """The probability, 0 to 1, of each answer's part word for word, in order, from one forward pass over all of them.

    Any model that ``AutoModelForImageTextToText`` loads will do. Questions and answers are put through its own chat
    template; that the turn ends after the answer is not part of the probability, so that "Yes" counts every longer yes.
    """
    import torch

    from stablellava_assets.models.special_tokens import adds_special_tokens

    texts, answers = zip(*_rendered(processor, exchanges), strict=True)
    tokenizer = processor.tokenizer
    # Padding goes after the text, so that every token keeps the position it has alone.
    tokenizer.padding_side = "right"
    # A list a text: how the processors of models that take several pictures tell whose is whose.
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
    """Summed over the tokens of ``span``, each predicted at the one before it."""
    start, end = span
    predicted = logits[start - 1 : end - 1].float().log_softmax(-1)
    return float(predicted.gather(-1, tokens[start:end, None]).sum())


def _rendered(processor: ProcessorMixin, batch: Sequence[Exchange]) -> Iterator[tuple[str, tuple[int, int]]]:
    """The conversation's text, and where in it the answer's part stands."""
    asked = [
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": exchange.question}]}]
        for exchange in batch
    ]
    said = [[{"role": "assistant", "content": [{"type": "text", "text": exchange.answer}]}] for exchange in batch]
    texts = processor.apply_chat_template([one + other for one, other in zip(asked, said, strict=True)])
    for exchange, text in zip(batch, texts, strict=True):
        # The answer is the last thing said, whatever the question quoted.
        answer = text.rindex(exchange.answer)
        first, last = exchange.part
        yield text, (answer + first, answer + last)


def _answer_spans(
    encoded: Sequence[Sequence[tuple[int, int]]], answers: Sequence[tuple[int, int]], lengths: Sequence[int]
) -> list[tuple[int, int]]:
    """Where the answers' tokens stand in the model's input, which spells the picture out as many tokens before them.

    ``encoded`` has the characters (start, end) of every token of the text alone.
    """
    spans = []
    for offsets, (start, end), length in zip(encoded, answers, lengths, strict=True):
        inside = [at for at, (first, last) in enumerate(offsets) if first < end and last > start]
        # Counted from the end: only what comes before the answer is longer in the model's input.
        spans.append((length - len(offsets) + inside[0], length - len(offsets) + inside[-1] + 1))
    return spans
