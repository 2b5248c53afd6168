"""A vision tower that is not trained sees every image once: its output takes the place of the images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stablellava_assets.tuning.batches import normalized
from stablellava_assets.tuning.embedded.replicas import replicate, single_threaded
from stablellava_assets.tuning.settings import StageSettings

if TYPE_CHECKING:
    import torch
    from transformers import LlavaProcessor, PreTrainedModel

_AT_ONCE = 128


def is_frozen(stage: StageSettings) -> bool:
    """Whether a stage leaves the tower as it is, and shows it every image in one position."""
    return not stage.tower_rate and not stage.shift


@contextmanager
def without_tower(model: PreTrainedModel) -> Iterator[None]:
    """``model`` takes outputs of its tower for images meanwhile."""
    tower = model.model.vision_tower
    model.model.vision_tower = _passing_on()
    try:
        yield
    finally:
        model.model.vision_tower = tower


def seen_by_tower(model: PreTrainedModel, processor: LlavaProcessor, pixels: torch.Tensor) -> torch.Tensor:
    """The tower's outputs (images, channels, height, width) for uint8 ``pixels`` (images, 3, height, width)."""
    import torch

    replicas = replicate(model.model.vision_tower)

    def seen(work: tuple[torch.nn.Module, torch.Tensor]) -> torch.Tensor:
        tower, some = work
        weight = next(tower.parameters())
        with torch.no_grad():
            shown = normalized(some, processor).to(weight.device, weight.dtype)
            outputs: torch.Tensor = tower(shown).last_hidden_state
        return outputs

    with single_threaded(len(replicas)) as pool:
        parts = torch.split(pixels, _AT_ONCE)
        towers = [replicas[at % len(replicas)] for at in range(len(parts))]
        return torch.cat(list(pool.map(seen, zip(towers, parts, strict=True))))


def _passing_on() -> torch.nn.Module:
    """In place of the tower: its input is what the tower made of the images."""
    import torch
    from transformers.modeling_outputs import BaseModelOutputWithPooling

    class PassingOn(torch.nn.Module):
        def forward(self, outputs: torch.Tensor, **options: Any) -> BaseModelOutputWithPooling:
            return BaseModelOutputWithPooling(last_hidden_state=outputs)

    return PassingOn()
