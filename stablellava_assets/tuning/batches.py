"""What one step sees: which pictures, moved by how much, as the floats and tokens the model reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablellava_assets.tables.identity import derive_seed
from stablellava_assets.tuning.packing import IGNORED, PackedRows

if TYPE_CHECKING:
    import torch
    from transformers import LlavaProcessor

_STEPS_SORTED_TOGETHER = 4


@dataclass(frozen=True)
class Batch:
    """Indices of pictures, and offsets (pictures, 2) in pixels by which each is moved, from 0 to twice the setting.

    ``learned`` counts the labelled tokens of the whole step, also in a share of it.
    """

    pictures: torch.Tensor
    offsets: torch.Tensor
    learned: int

    def shares(self, count: int) -> list[Batch]:
        """At most ``count`` parts that hold every ``count``-th picture, none of them empty."""
        parts = [slice(first, None, count) for first in range(min(count, len(self.pictures)))]
        return [Batch(self.pictures[part], self.offsets[part], self.learned) for part in parts]


def batches(packs: Sequence[PackedRows], per_step: int, steps: int, shift: int, seed: int) -> Iterator[Batch]:
    """The batches of ``steps`` steps: every pass goes through all pictures, in an order of its own.

    A few steps' pictures at a time are dealt out by length, so that less of a batch is padding.
    """
    import torch

    generator = torch.Generator().manual_seed(derive_seed("batches", seed))
    lengths = torch.tensor([len(pack.tokens) for pack in packs])
    learned = torch.tensor([sum(label != IGNORED for label in pack.labels) for pack in packs])
    waiting = torch.empty(0, dtype=torch.int64)
    for done in range(0, steps, _STEPS_SORTED_TOGETHER):
        together = min(_STEPS_SORTED_TOGETHER, steps - done)
        while len(waiting) < together * per_step:
            waiting = torch.cat([waiting, torch.randperm(len(packs), generator=generator)])
        chosen, waiting = waiting[: together * per_step], waiting[together * per_step :]
        by_length = chosen[lengths[chosen].argsort(stable=True)].reshape(together, per_step)
        for pictures in by_length[torch.randperm(together, generator=generator)]:
            offsets = torch.randint(0, 2 * shift + 1, (per_step, 2), generator=generator)
            yield Batch(pictures, offsets, int(learned[pictures].sum()))


def shifted(pixels: torch.Tensor, most: int, offsets: torch.Tensor) -> torch.Tensor:
    """``pixels`` (pictures, 3, height, width), each moved by its offset less ``most``; edges are repeated."""
    import torch

    height, width = pixels.shape[-2:]
    padded = torch.nn.functional.pad(pixels, (most,) * 4, mode="replicate")
    moved = zip(padded, offsets.tolist(), strict=True)
    return torch.stack([picture[:, y : y + height, x : x + width] for picture, (y, x) in moved])


def normalized(pixels: torch.Tensor, processor: LlavaProcessor) -> torch.Tensor:
    """Bytes (pictures, 3, height, width) as the floats that the checkpoint's own preprocessing makes of them."""
    import torch

    settings = processor.image_processor
    mean = torch.tensor(settings.image_mean)[:, None, None]
    std = torch.tensor(settings.image_std)[:, None, None]
    scaled: torch.Tensor = (pixels * settings.rescale_factor - mean) / std
    return scaled
