"""Tokens and labels of conversations in LLaVA's layout, through the checkpoint's own chat template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablellava_assets.text.conversations import (
    CHAT_ROLES,
    IMAGE_MARK,
    ChatMessage,
    Turn,
    alternate,
    content_of,
    marks_of,
    speakers_of,
)

IGNORED = -100
"""Label of tokens without a loss, as in transformers."""


if TYPE_CHECKING:
    from transformers import ProcessorMixin


@dataclass(frozen=True)
class TokenizedRow:
    """One conversation. The image is expanded to one token per vision token. Labels are
    -100 for tokens without a loss."""

    tokens: list[int]
    labels: list[int]


def messages_of(conversation: Sequence[Turn]) -> list[ChatMessage]:
    """LLaVA's turns as chat messages, the images in the order of their marks (see :func:`content_of`).

    Raises:
        ValueError: the turns do not alternate from human to gpt, a turn is empty, or the first question has no image
            mark or an answer has one.
    """
    if not alternate(conversation):
        raise ValueError(f"turns must alternate human, gpt; they are {speakers_of(conversation)}")
    marks = marks_of(conversation)
    if not marks[0] or any(marks[1::2]):
        raise ValueError(
            f"the first question must hold an {IMAGE_MARK} mark, and no answer may hold one; the turns hold {marks}"
        )
    messages: list[ChatMessage] = []
    for turn in conversation:
        content = content_of(turn["value"])
        if all(part["type"] == "image" for part in content):
            raise ValueError(f"a {turn['from']} turn is empty")
        messages.append({"role": CHAT_ROLES[turn["from"]], "content": content})
    return messages


def tokenize(
    dialogues: Sequence[list[ChatMessage]], processor: ProcessorMixin, vision_tokens: int
) -> list[TokenizedRow]:
    """Tokens and labels of each dialogue (see :func:`messages_of`). Answers and their end tokens are labelled."""
    rendered = list(_render(dialogues, processor))
    encoded = processor.tokenizer([text for text, _ in rendered], return_offsets_mapping=True)
    image_token = processor.image_token_id
    rows = []
    for (_, answers), ids, offsets in zip(rendered, encoded["input_ids"], encoded["offset_mapping"], strict=True):
        learned = [any(start <= at < end for start, end in answers) for at, _ in offsets]
        tokens: list[int] = []
        labels: list[int] = []
        for token, learn in zip(ids, learned, strict=True):
            repeats = vision_tokens if token == image_token else 1
            tokens += [token] * repeats
            labels += [token if learn else IGNORED] * repeats
        rows.append(TokenizedRow(tokens, labels))
    return rows


def _render(
    dialogues: Sequence[list[ChatMessage]], processor: ProcessorMixin
) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """Each conversation's text, and the ranges of its answers, from after the generation
    prompt to the end of the turn."""
    asked = [messages[:turn] for messages in dialogues for turn in range(1, len(messages), 2)]
    prefixes = [messages[: turn + 1] for messages in dialogues for turn in range(1, len(messages), 2)]
    # One call for all, because its overhead is as large as the time to render a conversation.
    starts = map(len, processor.apply_chat_template(asked, add_generation_prompt=True))
    texts = iter(processor.apply_chat_template(prefixes))
    for messages in dialogues:
        answers = []
        text = ""
        for _ in range(1, len(messages), 2):
            text = next(texts)
            answers.append((next(starts), len(text)))
        yield text, answers
