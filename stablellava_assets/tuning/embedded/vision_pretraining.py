"""Pretrain the vision tower as a multi-label classifier of caption phrases.

LLaVA starts from a vision tower trained on captions. Classifying the caption's own words trains it as well as
contrastive learning does, without a text encoder (SuperClass, Huang et al., 2024).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stablellava_assets.tables.identity import derive_seed
from stablellava_assets.tuning.batches import drawn, normalized
from stablellava_assets.tuning.embedded.training_loop import optimize
from stablellava_assets.tuning.embedded.training_report import TrainingReport
from stablellava_assets.tuning.settings import StageSettings

if TYPE_CHECKING:
    import torch
    from transformers import LlavaProcessor, PreTrainedModel


@dataclass(frozen=True)
class _Pictures:
    indices: torch.Tensor

    def micro_batches(self, count: int) -> list[_Pictures]:
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
    """Train the vision tower of ``model`` in place; the classification head is discarded afterwards.

    Args:
        model: its ``model.vision_tower`` returns (images, channels, height, width).
        processor: defines the preprocessing.
        pixels: uint8 (images, 3, height, width).
        phrases: those of each image's caption, at least one.
        stage: number of steps and learning rates.
        seed: determines the order of the images and the initial head.
        progress: receives a line every few seconds.

    Returns:
        The loss curve: cross-entropy against the phrases, with equal weight for each phrase of an image.
    """
    import torch

    targets = _targets(phrases)
    steps, per_step = stage.steps_over(len(pixels))

    def batches() -> Iterator[_Pictures]:
        generator = torch.Generator().manual_seed(derive_seed("vision pretraining", seed))
        return map(_Pictures, drawn(len(pixels), per_step, steps, 1, generator))

    def backward(classifier: torch.nn.Module, micro_batch: _Pictures) -> float:
        logits = classifier(normalized(pixels[micro_batch.indices], processor).to(next(classifier.parameters()).device))
        wanted = targets[micro_batch.indices].to(logits.device)
        loss = torch.nn.functional.cross_entropy(logits, wanted, reduction="sum") / per_step
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    classifier = _with_classifier(model, targets.shape[1], seed).train()
    curve = optimize(classifier, stage, steps, batches(), backward, TrainingReport(steps, per_step, progress))
    model.eval()
    return curve


def _targets(phrases: Sequence[Sequence[str]]) -> torch.Tensor:
    """Shape (images, distinct phrases): equal weights for the phrases of an image, which sum to 1."""
    import torch

    known = {phrase: at for at, phrase in enumerate(sorted({phrase for logits in phrases for phrase in logits}))}
    targets = torch.zeros(len(phrases), len(known))
    for row, logits in enumerate(phrases):
        targets[row, [known[phrase] for phrase in logits]] = 1 / len(logits)
    return targets


def _with_classifier(model: PreTrainedModel, phrases: int, seed: int) -> torch.nn.Module:
    """The tower, mean pooling over its grid, and a layer with one logit per phrase."""
    import torch

    tower = model.model.vision_tower
    width = model.config.vision_config.hidden_size

    class PhraseClassifier(torch.nn.Module):
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
        return PhraseClassifier().to(model.device)
