"""Conversations in LLaVA's layout as tokens and labels, through the checkpoint's own chat template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NotRequired, TypedDict

from stablellava_assets.text.conversations import (
    CHAT_ROLES,
    IMAGE_MARK,
    Turn,
    alternate,
    marks_of,
    speakers_of,
    without_marks,
)

IGNORED = -100
"""The label of a token that is not learned, as in transformers."""


if TYPE_CHECKING:
    from transformers import ProcessorMixin


class Part(TypedDict):
    """A part of a chat message: a picture, or a text."""

    type: str
    text: NotRequired[str]


class ChatMessage(TypedDict):
    """A message as chat templates take it."""

    role: str
    content: list[Part]


@dataclass(frozen=True)
class TokenizedRow:
    """One conversation; the picture is spelled out as one token a vision token. Labels are -100 where nothing is learned."""

    tokens: list[int]
    labels: list[int]


def messages_of(conversation: Sequence[Turn]) -> list[ChatMessage]:
    """LLaVA's turns as chat messages; the picture goes before the first question, as LLaVA's own training does it.

    Raises:
        ValueError: the turns do not alternate from human to gpt, a turn is empty, or there is not exactly one mark.
    """
    if not alternate(conversation):
        raise ValueError(f"turns must alternate human, gpt; they are {speakers_of(conversation)}")
    marks = sum(marks_of(conversation))
    if marks != 1 or IMAGE_MARK not in conversation[0]["value"]:
        raise ValueError(f"the first question must hold the conversation's only {IMAGE_MARK}; there are {marks}")
    messages: list[ChatMessage] = []
    for turn in conversation:
        text = without_marks(turn["value"])
        if not text:
            raise ValueError(f"a {turn['from']} turn is empty")
        messages.append({"role": CHAT_ROLES[turn["from"]], "content": [{"type": "text", "text": text}]})
    messages[0]["content"].insert(0, {"type": "image"})
    return messages


def tokenize(
    dialogues: Sequence[list[ChatMessage]], processor: ProcessorMixin, vision_tokens: int
) -> list[TokenizedRow]:
    """Tokens and labels of each dialogue (see :func:`messages_of`); learned are the answers with their end token."""
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
    """Each conversation's text, and where in it the answers stand: from after the generation prompt to the turn's end."""
    asked = [messages[:turn] for messages in dialogues for turn in range(1, len(messages), 2)]
    answered = [messages[: turn + 1] for messages in dialogues for turn in range(1, len(messages), 2)]
    # One call for all: the library takes as long to begin one as to render a conversation.
    starts = map(len, processor.apply_chat_template(asked, add_generation_prompt=True))
    texts = iter(processor.apply_chat_template(answered))
    for messages in dialogues:
        answers = []
        text = ""
        for _ in range(1, len(messages), 2):
            text = next(texts)
            answers.append((next(starts), len(text)))
        yield text, answers
