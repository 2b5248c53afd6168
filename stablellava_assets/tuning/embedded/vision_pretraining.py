"""Pretrain the vision tower as a multi-label classifier of caption phrases.

LLaVA starts from a vision tower that has learned from captions. Classification by the caption's own words teaches that as
well as contrast with a text encoder does and needs no text encoder (SuperClass, Huang et al., 2024).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablellava_assets.tables.identity import derive_seed
from stablellava_assets.tuning.batches import drawn, normalized
from stablellava_assets.tuning.embedded.optimizing import optimize
from stablellava_assets.tuning.embedded.report import TrainingReport
from stablellava_assets.tuning.settings import StageSettings

if TYPE_CHECKING:
    import torch
    from transformers import LlavaProcessor, PreTrainedModel


@dataclass(frozen=True)
class _Pictures:
    indices: torch.Tensor

    def shares(self, count: int) -> list[_Pictures]:
        return [_Pictures(self.indices[first::count]) for first in range(min(count, len(self.indices)))]


def pretrain_vision(
    model: PreTrainedModel,
    processor: LlavaProcessor,
    pixels: torch.Tensor,
    phrases: Sequence[Sequence[str]],
    stage: StageSettings,
    seed: int,
    progress: Callable[[str], None],
) -> list[tuple[int, float]]:
    """Train the vision tower of ``model`` in place; the layer that names the phrases is thrown away afterwards.

    Args:
        model: its ``model.vision_tower`` gives (pictures, channels, height, width).
        processor: its preprocessing is used.
        pixels: uint8 (pictures, 3, height, width).
        phrases: those of each picture's caption, at least one.
        stage: how long and how fast.
        seed: of the order of the pictures and of the layer that names the phrases.
        progress: receives a line every few seconds.

    Returns:
        The loss curve: cross-entropy against the phrases, each of a picture's counting alike.
    """
    import torch

    targets = _targets(phrases)
    steps, per_step = stage.steps_over(len(pixels))

    def batches() -> Iterator[_Pictures]:
        generator = torch.Generator().manual_seed(derive_seed("vision pretraining", seed))
        return map(_Pictures, drawn(len(pixels), per_step, steps, 1, generator))

    def backward(namer: torch.nn.Module, share: _Pictures) -> float:
        said = namer(normalized(pixels[share.indices], processor).to(next(namer.parameters()).device))
        wanted = targets[share.indices].to(said.device)
        loss = torch.nn.functional.cross_entropy(said, wanted, reduction="sum") / per_step
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    namer = _with_namer(model, targets.shape[1], seed).train()
    curve = optimize(namer, stage, steps, batches(), backward, TrainingReport(steps, per_step, progress))
    model.eval()
    return curve


def _targets(phrases: Sequence[Sequence[str]]) -> torch.Tensor:
    """(pictures, different phrases): an equal share for each phrase of a picture, 1 in all."""
    import torch

    known = {phrase: at for at, phrase in enumerate(sorted({phrase for said in phrases for phrase in said}))}
    targets = torch.zeros(len(phrases), len(known))
    for row, said in enumerate(phrases):
        targets[row, [known[phrase] for phrase in said]] = 1 / len(said)
    return targets


def _with_namer(model: PreTrainedModel, phrases: int, seed: int) -> torch.nn.Module:
    """The tower, the mean over its grid, and a layer that gives each phrase a score."""
    import torch

    tower = model.model.vision_tower
    width = model.config.vision_config.hidden_size

    class Namer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tower = tower
            self.norm = torch.nn.LayerNorm(width)
            self.head = torch.nn.Linear(width, phrases)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            grid = self.tower(pixels).last_hidden_state
            scores: torch.Tensor = self.head(self.norm(grid.mean((2, 3))))
            return scores

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("namer", seed))
        return Namer().to(model.device)
