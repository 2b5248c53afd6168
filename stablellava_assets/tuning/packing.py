"""Packs rows that begin with the same images into one sequence: these are encoded once, and each row is trained
independently.

A sequence is ``[USER: images][row 1][row 2]...``. A row attends to the images and to itself, never to another row, and
its positions continue from the end of the images. Hidden states, loss and gradient therefore equal those of one
sequence per row. The images of later questions are among a row's own tokens. This is the prefix sharing of tree
attention (Cai et al., Medusa, 2024), applied to training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablellava_assets.tuning.conversations import IGNORED

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from stablellava_assets.tuning.conversations import TokenizedRow


@dataclass(frozen=True)
class PackedRows:
    """Rows that begin with the same images, as lists with one value per token. Row 0 is the shared prefix."""

    tokens: list[int]
    labels: list[int]
    positions: list[int]
    rows: list[int]


@dataclass(frozen=True)
class PackedBatch:
    """Padded sequences: four tensors (packs, tokens), and ``visible`` (packs, 1, tokens, tokens)."""

    tokens: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor
    visible: torch.Tensor

    def to(self, device: torch.device) -> PackedBatch:
        """The same batch on ``device``."""
        return PackedBatch(
            self.tokens.to(device), self.labels.to(device), self.positions.to(device), self.visible.to(device)
        )


def prefix_of(row: TokenizedRow, image_token: int) -> list[int]:
    """The tokens up to the last image of the first question, which rows of a pack share; none without an image."""
    asked = next((at for at, label in enumerate(row.labels) if label != IGNORED), len(row.tokens))
    return row.tokens[: max((at + 1 for at in range(asked) if row.tokens[at] == image_token), default=0)]


def pack(rows: Sequence[TokenizedRow], image_token: int) -> PackedRows:
    """Pack rows that share a prefix up to the end of their first images; rows without an image share nothing.

    Raises:
        ValueError: the rows do not share a prefix.
    """
    first = prefix_of(rows[0], image_token)
    shared = len(first)
    packed = PackedRows(first, [IGNORED] * shared, list(range(shared)), [0] * shared)
    for number, row in enumerate(rows, start=1):
        if row.tokens[:shared] != packed.tokens[:shared]:
            raise ValueError("rows of a pack must begin alike up to the end of their first pictures")
        packed.tokens.extend(row.tokens[shared:])
        packed.labels.extend(row.labels[shared:])
        packed.positions.extend(range(shared, len(row.tokens)))
        packed.rows.extend([number] * (len(row.tokens) - shared))
    return packed


def collate(pictures: Sequence[PackedRows], pad_token: int) -> PackedBatch:
    """Pad to the longest sequence; no token of a row attends to padding."""
    import torch

    def padded(name: str, value: int) -> torch.Tensor:
        values = [torch.tensor(getattr(picture, name)) for picture in pictures]
        return torch.nn.utils.rnn.pad_sequence(values, batch_first=True, padding_value=value)

    rows = padded("rows", -1)
    length = rows.shape[1]
    same_or_shared = (rows[:, :, None] == rows[:, None, :]) | (rows[:, None, :] == 0)
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    return PackedBatch(
        tokens=padded("tokens", pad_token),
        labels=padded("labels", IGNORED),
        positions=padded("positions", 0),
        visible=(same_or_shared & causal)[:, None],
    )


def answer_loss(model: PreTrainedModel, batch: PackedBatch, pixels: torch.Tensor | None) -> torch.Tensor:
    """Cross-entropy summed over the labelled tokens."""
    import torch

    logits, labels = answer_logits(model, batch, pixels)
    return torch.nn.functional.cross_entropy(logits.float(), labels, reduction="sum")


def answer_logits(
    model: PreTrainedModel, batch: PackedBatch, pixels: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (labelled tokens, vocabulary), computed only where a label needs them, and the labels."""
    hidden = model.model(
        input_ids=batch.tokens,
        pixel_values=pixels,
        attention_mask=_additive(batch.visible, model.dtype),
        position_ids=batch.positions,
        use_cache=False,
    ).last_hidden_state
    # A labelled token is never the first of its row, so its predecessor in the pack is its predecessor in the row.
    learned = batch.labels[:, 1:] != IGNORED
    return model.lm_head(hidden[:, :-1][learned]), batch.labels[:, 1:][learned]


def _additive(visible: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    import torch

    return torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill_(~visible, torch.finfo(dtype).min)
