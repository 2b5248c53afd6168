"""The models that score pictures: loaded when first asked, with an error that names the setting and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stablellava_assets.tuning.checkpoints import load_checkpoint

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin

PREVIOUS = "previous"
"""What a profile says to mean the newest checkpoint of its own."""


class ScoringModelError(RuntimeError):
    """A model that cannot be used; the message names the setting and what to do."""


class OwnCheckpoint(NamedTuple):
    """A row of ``llava_checkpoint``: its id, and the folder of the tuned model."""

    checkpoint_id: str
    folder: Path


def load_own(setting: str, checkpoint: OwnCheckpoint) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Model and processor of a checkpoint that this project tuned.

    Raises:
        ScoringModelError: its folder is gone or damaged.
    """
    try:
        model, processor = load_checkpoint(checkpoint.folder)
    except (OSError, ValueError) as error:
        raise ScoringModelError(
            f"{setting}: previous is checkpoint {checkpoint.checkpoint_id}, whose folder {checkpoint.folder} cannot be "
            f"loaded ({error}). Materialize llava_checkpoint again, or leave the scorer out of filters.alignment."
        ) from error
    return model.eval(), processor


def load_named(setting: str, name: str, kind: Any) -> tuple[PreTrainedModel, ProcessorMixin]:
    """Model of an Auto class and its processor: a folder, or a model of the Hugging Face hub.

    In the checkpoint's own precision on a GPU, in float32 on a processor, which computes few others fast.

    Raises:
        ScoringModelError: it cannot be loaded.
    """
    import torch
    from transformers import AutoProcessor

    on_gpu = torch.cuda.is_available()
    # Missing, gated, damaged, of another kind: transformers raises whatever the part at fault raises.
    try:
        model = kind.from_pretrained(name, dtype="auto" if on_gpu else torch.float32)
        processor = AutoProcessor.from_pretrained(name)
    except Exception as error:
        raise ScoringModelError(
            f"{setting}: {name!r} could not be loaded as {kind.__name__}: {error}. Name a folder that "
            "`save_pretrained` wrote, or a model of the Hugging Face hub that this machine can reach."
        ) from error
    return model.eval().to("cuda" if on_gpu else "cpu"), processor
