"""What a base has learned: how many words of the answers it would say next, given those before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stablellava_assets.tuning.batches import normalized
from stablellava_assets.tuning.embedded.training_set import TrainingSet
from stablellava_assets.tuning.packing import answer_logits, collate

if TYPE_CHECKING:
    from transformers import LlavaProcessor, PreTrainedModel

_AT_ONCE = 48


def share_said_right(model: PreTrainedModel, processor: LlavaProcessor, rows: TrainingSet) -> float:
    """The share of labelled tokens that are the model's first choice."""
    import torch

    right = total = 0
    model.eval()
    for start in range(0, len(rows.packs), _AT_ONCE):
        packs = range(start, min(start + _AT_ONCE, len(rows.packs)))
        batch = collate([rows.packs[at] for at in packs], processor.tokenizer.pad_token_id)
        pixels = rows.pixels_of(packs)
        shown = None if pixels is None else normalized(pixels, processor).to(model.device, model.dtype)
        with torch.inference_mode():
            logits, wanted = answer_logits(model, batch.to(model.device), shown)
        right += int((logits.argmax(-1) == wanted).sum())
        total += len(wanted)
    return right / total
