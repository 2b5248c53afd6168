"""Training examples: each image decoded once and stored as the model sees it, each conversation tokenized once."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stablellava_assets.pictures.decoding import UndecodablePictureError, upright
from stablellava_assets.pictures.encoding import encode_png
from stablellava_assets.pictures.on_threads import on_threads
from stablellava_assets.tables.encoded_images import EncodedImages
from stablellava_assets.text.conversations import ChatMessage, Turn, marks_of
from stablellava_assets.tuning.conversations import messages_of, tokenize
from stablellava_assets.tuning.packing import PackedRows, pack, prefix_of

if TYPE_CHECKING:
    import torch
    from transformers import LlavaProcessor, PreTrainedConfig


@dataclass(frozen=True)
class TrainingExample:
    """One conversation about images, in LLaVA's layout: turns of ``from`` (human, gpt) and ``value``.

    ``image_ids`` are in the order of the image marks. ``encoded`` are those images, None if they are read from
    elsewhere.
    """

    image_ids: Sequence[str]
    encoded: Sequence[bytes] | None
    conversations: Sequence[Turn]


@dataclass(frozen=True)
class TrainingSet:
    """Packs of rows, with the images of each.

    ``pixels`` is uint8 (images, 3, height, width) of ``image_ids``, empty for text-only rows. ``pictures`` has the
    indices of each pack's images, in the order of their tokens.
    """

    packs: list[PackedRows]
    pixels: torch.Tensor
    pictures: list[list[int]]
    image_ids: list[str]

    def with_texts(self, texts: TrainingSet) -> TrainingSet:
        """The same with packs of text-only rows."""
        return replace(self, packs=[*self.packs, *texts.packs], pictures=[*self.pictures, *texts.pictures])

    def pixels_of(self, packs: Sequence[int]) -> torch.Tensor | None:
        """The images of some packs, by their indices; None if they have no image."""
        wanted = [picture for pack in packs for picture in self.pictures[pack]]
        return self.pixels[wanted] if wanted else None


def prepare(
    examples: Sequence[TrainingExample],
    processor: LlavaProcessor,
    config: PreTrainedConfig,
    rows_per_look: int,
    images: EncodedImages | None = None,
    folder: Path | None = None,
) -> TrainingSet:
    """Decode, tokenize and pack ``examples``.

    Args:
        examples: the conversations.
        processor: the model's.
        config: the model's.
        rows_per_look: at most so many rows about one image share a pack.
        images: the images of the examples, of which a few are in memory at a time; by default the examples hold them.
        folder: where the pixels are kept, in a file that the system removes when they are no longer used, also if the
            process dies; by default in the system's own for temporary files.

    Raises:
        ValueError: there are no examples, an image is missing or cannot be decoded, a conversation is malformed, or a
            sequence is longer than the model's context. The example at fault is named.
        OSError: the pixels cannot be written.
    """
    import torch

    if not examples:
        raise ValueError("there is nothing to train on: no examples; look at why filtered_pairs is empty")
    rows = tokenize([_messages(example) for example in examples], processor, config.image_seq_length)
    _check_length(examples, [len(row.tokens) for row in rows], config.text_config.max_position_embeddings)
    numbers: dict[str, int] = {}
    for example in examples:
        for image_id in example.image_ids:
            numbers.setdefault(image_id, len(numbers))
    pixels = _all_pixels(list(numbers), images or _held_by(examples), processor, folder)
    prefixes = [prefix_of(row, config.image_token_id) for row in rows]
    # How many images each row shares with those of its pack, and has in its first question.
    shared = [prefix.count(config.image_token_id) // config.image_seq_length for prefix in prefixes]
    groups: dict[tuple[tuple[str, ...], tuple[int, ...]], list[int]] = {}
    for index, (example, prefix) in enumerate(zip(examples, prefixes, strict=True)):
        groups.setdefault((tuple(example.image_ids[: shared[index]]), tuple(prefix)), []).append(index)
    looks = [
        group[start : start + rows_per_look]
        for group in groups.values()
        for start in range(0, len(group), rows_per_look)
    ]
    return TrainingSet(
        packs=[pack([rows[index] for index in look], config.image_token_id) for look in looks],
        pixels=torch.from_numpy(pixels),
        pictures=[
            [
                numbers[image_id]
                for at, index in enumerate(look)
                for image_id in examples[index].image_ids[shared[index] if at else 0 :]
            ]
            for look in looks
        ],
        image_ids=list(numbers),
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
    return TrainingSet(packs, torch.empty(0, 3, 0, 0, dtype=torch.uint8), [[] for _ in starts], [])


def as_seen(processor: LlavaProcessor) -> Callable[[str, bytes], bytes]:
    """Reduces an encoded image, given with its id, to what the model sees; :func:`prepare` makes the same of both.

    The function raises ValueError for an image that cannot be decoded.
    """
    from PIL import Image

    def reduced(image_id: str, encoded: bytes) -> bytes:
        return encode_png(Image.fromarray(_pixels(image_id, encoded, processor).transpose(1, 2, 0)))

    return reduced


def _messages(example: TrainingExample) -> list[ChatMessage]:
    try:
        messages = messages_of(example.conversations)
        if (marks := sum(marks_of(example.conversations))) != len(example.image_ids):
            raise ValueError(f"it holds {marks} image marks")
        return messages
    except ValueError as error:
        raise ValueError(f"a conversation about {_named(example)} cannot be used: {error}") from error


def _named(example: TrainingExample) -> str:
    plural = "s" if len(example.image_ids) > 1 else ""
    return f"picture{plural} {', '.join(example.image_ids)}"


def _check_length(examples: Sequence[TrainingExample], lengths: Sequence[int], context: int) -> None:
    for example, length in zip(examples, lengths, strict=True):
        if length > context:
            raise ValueError(
                f"a conversation about {_named(example)} has {length} tokens, the model's context holds "
                f"{context}: shorten the conversation or raise tuning.model.context"
            )


def _held_by(examples: Sequence[TrainingExample]) -> EncodedImages:
    held = {
        image_id: encoded
        for each in reversed(examples)
        if each.encoded is not None
        for image_id, encoded in zip(each.image_ids, each.encoded, strict=True)
    }
    return lambda wanted: ((image_id, held[image_id]) for image_id in wanted if image_id in held)


def _all_pixels(
    image_ids: Sequence[str], images: EncodedImages, processor: LlavaProcessor, folder: Path | None
) -> np.ndarray:
    """The images as uint8 (images, 3, height, width), in the order of their ids."""
    import torch

    missing = {image_id: number for number, image_id in enumerate(image_ids)}
    decoded = on_threads(
        images(image_ids),
        lambda image_id, encoded: _pixels(image_id, encoded, processor),
        torch.get_num_threads(),
    )
    with tempfile.TemporaryFile(dir=folder) as file:
        shape: tuple[int, ...] = ()
        for image_id, values in decoded:
            shape = values.shape
            file.seek(missing.pop(image_id) * values.nbytes)
            file.write(values.tobytes())
        if missing:
            raise ValueError(
                f"{len(missing)} pictures are gone, the first is {next(iter(missing))}: materialize images again"
            )
        file.flush()
        # Written to as a file, because a full disk would end a process that writes to mapped memory.
        return np.memmap(file, np.uint8, "c", shape=(len(image_ids), *shape))


def _pixels(image_id: str, encoded: bytes, processor: LlavaProcessor) -> np.ndarray:
    """The image after the model's preprocessing, (3, height, width), before normalization to floats."""
    try:
        picture = upright(encoded)
    except UndecodablePictureError as error:
        raise ValueError(f"picture {image_id} cannot be decoded: {error}") from error
    prepared = processor.image_processor(picture, do_rescale=False, do_normalize=False, return_tensors="np")
    values: np.ndarray = prepared["pixel_values"][0]
    return values.clip(0, 255).round().astype("uint8")
