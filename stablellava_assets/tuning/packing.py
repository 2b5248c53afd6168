"""All rows about one picture in one sequence: the picture is looked at once, and every row is trained as if alone.

A sequence is ``[USER: picture][row 1][row 2]...``. A row sees the picture and itself, never another row, and its positions
continue from the picture's end, so that hidden states, loss and gradient are those of one sequence a row.
This is the prefix sharing of tree attention (Cai et al., Medusa, 2024), used for training.
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
    """The rows about one picture; lists of one value a token. Row 0 is the shared beginning."""

    tokens: list[int]
    labels: list[int]
    positions: list[int]
    rows: list[int]


@dataclass(frozen=True)
class PackedBatch:
    """Padded sequences: four of (pictures, tokens), and ``visible`` of (pictures, 1, tokens, tokens)."""

    tokens: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor
    visible: torch.Tensor

    def to(self, device: torch.device) -> PackedBatch:
        """The same batch on ``device``."""
        return PackedBatch(
            self.tokens.to(device), self.labels.to(device), self.positions.to(device), self.visible.to(device)
        )


def pack(rows: Sequence[TokenizedRow], image_token: int) -> PackedRows:
    """Pack rows that begin alike up to the end of the picture; rows without a picture share nothing.

    Raises:
        ValueError: the rows do not share their beginning.
    """
    first = rows[0].tokens
    shared = len(first) - first[::-1].index(image_token) if image_token in first else 0
    packed = PackedRows(first[:shared], [IGNORED] * shared, list(range(shared)), [0] * shared)
    for number, row in enumerate(rows, start=1):
        if row.tokens[:shared] != packed.tokens[:shared]:
            raise ValueError("rows about one picture must begin alike up to the end of the picture")
        packed.tokens.extend(row.tokens[shared:])
        packed.labels.extend(row.labels[shared:])
        packed.positions.extend(range(shared, len(row.tokens)))
        packed.rows.extend([number] * (len(row.tokens) - shared))
    return packed


def collate(pictures: Sequence[PackedRows], pad_token: int) -> PackedBatch:
    """Pad to the longest sequence; padding is seen by no token of a row."""
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
    """Cross-entropy summed over the labelled tokens; the vocabulary is computed only where a label waits for it."""
    import torch

    hidden = model.model(
        input_ids=batch.tokens,
        pixel_values=pixels,
        attention_mask=_additive(batch.visible, model.dtype),
        position_ids=batch.positions,
        use_cache=False,
    ).last_hidden_state
    # A learned token follows the question, so that its predecessor in the pack is its predecessor in the row.
    learned = batch.labels[:, 1:] != IGNORED
    logits = model.lm_head(hidden[:, :-1][learned])
    return torch.nn.functional.cross_entropy(logits.float(), batch.labels[:, 1:][learned], reduction="sum")


def _additive(visible: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A mask that eager attention adds to its scores."""
    import torch

    return torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill_(~visible, torch.finfo(dtype).min)
