"""Training examples in memory: each image decoded once, each conversation tokenized once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablellava_assets.pictures.decoding import UndecodablePictureError, upright
from stablellava_assets.text.conversations import Turn
from stablellava_assets.tuning.conversations import ChatMessage, messages_of, tokenize
from stablellava_assets.tuning.packing import PackedRows, pack

if TYPE_CHECKING:
    import numpy as np
    import torch
    from transformers import LlavaProcessor, PreTrainedConfig


@dataclass(frozen=True)
class TrainingExample:
    """One conversation about one image, in LLaVA's layout: turns of ``from`` (human, gpt) and ``value``."""

    image_id: str
    image_bytes: bytes
    conversations: Sequence[Turn]


@dataclass(frozen=True)
class TrainingSet:
    """Packs of rows, with the image of each.

    ``pixels`` is uint8 (images, 3, height, width), empty for text-only rows. ``pictures`` has the index of each pack's
    image, and is None for text-only rows.
    """

    packs: list[PackedRows]
    pixels: torch.Tensor
    pictures: torch.Tensor | None

    def pixels_of(self, packs: torch.Tensor) -> torch.Tensor | None:
        """The images of some packs, by their indices."""
        return None if self.pictures is None else self.pixels[self.pictures[packs]]


def prepare(
    examples: Sequence[TrainingExample], processor: LlavaProcessor, config: PreTrainedConfig, rows_per_look: int
) -> TrainingSet:
    """Decode, tokenize and pack ``examples``. At most ``rows_per_look`` rows about one image share a pack.

    Raises:
        ValueError: there are no examples, an image cannot be decoded, a conversation is malformed, or a sequence is
            longer than the model's context. The example at fault is named.
    """
    import torch

    if not examples:
        raise ValueError("there is nothing to train on: no examples; look at why filtered_pairs is empty")
    groups: dict[str, list[int]] = {}
    for index, example in enumerate(examples):
        groups.setdefault(example.image_id, []).append(index)
    rows = tokenize([_messages(example) for example in examples], processor, config.image_seq_length)
    _check_length(examples, [len(row.tokens) for row in rows], config.text_config.max_position_embeddings)
    pictures = [examples[group[0]] for group in groups.values()]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        pixels = list(pool.map(lambda example: _pixels(example, processor), pictures))
    groups_by_image = [
        (number, group[start : start + rows_per_look])
        for number, group in enumerate(groups.values())
        for start in range(0, len(group), rows_per_look)
    ]
    return TrainingSet(
        packs=[
            pack([rows[index] for index in group_start], config.image_token_id) for _, group_start in groups_by_image
        ],
        pixels=torch.stack([torch.from_numpy(values) for values in pixels]),
        pictures=torch.tensor([number for number, _ in groups_by_image]),
    )


def prepare_texts(
    conversations: Sequence[list[ChatMessage]],
    processor: LlavaProcessor,
    config: PreTrainedConfig,
    rows_per_look: int,
) -> TrainingSet:
    """Tokenize and pack text-only conversations, given as chat messages."""
    import torch

    rows = tokenize(conversations, processor, config.image_seq_length)
    starts = range(0, len(rows), rows_per_look)
    packs = [pack(rows[start : start + rows_per_look], config.image_token_id) for start in starts]
    return TrainingSet(packs, pixels=torch.empty(0, 3, 0, 0, dtype=torch.uint8), pictures=None)


def _messages(example: TrainingExample) -> list[ChatMessage]:
    try:
        return messages_of(example.conversations)
    except ValueError as error:
        raise ValueError(f"picture {example.image_id}: a conversation cannot be used: {error}") from error


def _check_length(examples: Sequence[TrainingExample], lengths: Sequence[int], context: int) -> None:
    for example, length in zip(examples, lengths, strict=True):
        if length > context:
            raise ValueError(
                f"a conversation about picture {example.image_id} has {length} tokens, the model's context holds "
                f"{context}: shorten the conversation or raise tuning.model.context"
            )


def _pixels(example: TrainingExample, processor: LlavaProcessor) -> np.ndarray:
    """The image after the model's preprocessing, (3, height, width), before normalization to floats."""
    try:
        picture = upright(example.image_bytes)
    except UndecodablePictureError as error:
        raise ValueError(f"picture {example.image_id} cannot be decoded: {error}") from error
    prepared = processor.image_processor(picture, do_rescale=False, do_normalize=False, return_tensors="np")
    values: np.ndarray = prepared["pixel_values"][0]
    return values.clip(0, 255).round().astype("uint8")
