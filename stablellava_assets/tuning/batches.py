"""Batches of packed rows: which images they contain, how these are shifted, and their tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablellava_assets.tables.identity import derive_seed
from stablellava_assets.tuning.conversations import IGNORED
from stablellava_assets.tuning.packing import PackedRows

if TYPE_CHECKING:
    import torch
    from transformers import LlavaProcessor

_STEPS_SORTED_TOGETHER = 16


@dataclass(frozen=True)
class Batch:
    """Indices of packs, and offsets (packs, 2) in pixels by which their images are
    shifted, from 0 to twice the setting.

    ``learned`` counts the labelled tokens of the whole step, even if this batch is only part of it.
    """

    packs: torch.Tensor
    offsets: torch.Tensor
    learned: int

    def micro_batches(self, count: int) -> list[Batch]:
        """At most ``count`` non-empty parts, each with every ``count``-th pack."""
        parts = [slice(first, None, count) for first in range(min(count, len(self.packs)))]
        return [Batch(self.packs[part], self.offsets[part], self.learned) for part in parts]


def batches(packs: Sequence[PackedRows], per_step: int, steps: int, shift: int, seed: int) -> Iterator[Batch]:
    """Batches for ``steps`` steps. Each pass goes through all packs in a new random order."""
    import torch

    generator = torch.Generator().manual_seed(derive_seed("batches", seed))
    lengths = torch.tensor([len(pack.tokens) for pack in packs])
    learned = torch.tensor([sum(label != IGNORED for label in pack.labels) for pack in packs])
    # No more than a pass has, or a pack would come again before others have been seen.
    together = max(1, min(_STEPS_SORTED_TOGETHER, len(packs) // per_step))
    for indices in drawn_by_length(lengths, per_step, steps, together, generator):
        offsets = torch.randint(0, 2 * shift + 1, (per_step, 2), generator=generator)
        yield Batch(indices, offsets, int(learned[indices].sum()))


def drawn_by_length(
    lengths: torch.Tensor, per_step: int, steps: int, steps_at_once: int, generator: torch.Generator
) -> Iterator[torch.Tensor]:
    """Indices for one step after another, drawn as by :func:`drawn`.

    The indices of a few consecutive steps are sorted by length, which reduces padding; the
    order of those steps is random.
    """
    import torch

    for chosen in drawn(len(lengths), per_step, steps, steps_at_once, generator):
        together = len(chosen) // per_step
        by_length = chosen[lengths[chosen].argsort(stable=True)].reshape(together, per_step)
        yield from by_length[torch.randperm(together, generator=generator)]


def drawn(
    count: int, per_step: int, steps: int, steps_at_once: int, generator: torch.Generator
) -> Iterator[torch.Tensor]:
    """Indices below ``count`` for ``steps`` steps of equal size. An index is drawn again only after all others."""
    import torch

    waiting = torch.empty(0, dtype=torch.int64)
    for done in range(0, steps, steps_at_once):
        wanted = min(steps_at_once, steps - done) * per_step
        while len(waiting) < wanted:
            waiting = torch.cat([waiting, torch.randperm(count, generator=generator)])
        yield waiting[:wanted]
        waiting = waiting[wanted:]


def shifted(pixels: torch.Tensor, most: int, offsets: torch.Tensor) -> torch.Tensor:
    """``pixels`` (images, 3, height, width), each shifted by its offset minus ``most``; edges are repeated."""
    import torch

    height, width = pixels.shape[-2:]
    padded = torch.nn.functional.pad(pixels, (most,) * 4, mode="replicate")
    moved = zip(padded, offsets.tolist(), strict=True)
    return torch.stack([picture[:, y : y + height, x : x + width] for picture, (y, x) in moved])


def normalized(pixels: torch.Tensor, processor: LlavaProcessor) -> torch.Tensor:
    """Bytes (images, 3, height, width) as floats, normalized as by the checkpoint's own preprocessing."""
    import torch

    settings = processor.image_processor
    mean = torch.tensor(settings.image_mean)[:, None, None]
    std = torch.tensor(settings.image_std)[:, None, None]
    scaled: torch.Tensor = (pixels * settings.rescale_factor - mean) / std
    return scaled
