"""Reads and atomically writes Hugging Face checkpoint folders."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from stablellava_assets.models.names import model_source
from stablellava_assets.models.precision import automatic_device
from stablellava_assets.models.quiet import quiet

CHAT_TEMPLATE = "chat_template.jinja"
"""The file with the chat template of a checkpoint that has one of its own."""

if TYPE_CHECKING:
    from transformers import LlavaProcessor, PreTrainedModel


def load_checkpoint(named: Path | str) -> tuple[PreTrainedModel, LlavaProcessor]:
    """Model and processor of a folder that the Auto classes read, or of ``name@revision`` on the hub.

    On a GPU, in the stored precision; on a CPU, where other precisions are slow, in float32.
    """
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    source = model_source(named)
    device = automatic_device()
    # These folders load in milliseconds; a progress bar per file would flood the log.
    with quiet("transformers", warnings=True):
        model = AutoModelForImageTextToText.from_pretrained(
            source.name, revision=source.revision, dtype="auto" if device == "cuda" else torch.float32
        )
        processor = AutoProcessor.from_pretrained(source.name, revision=source.revision)
    return model.to(device), processor


def save_checkpoint(model: PreTrainedModel, processor: LlavaProcessor, folder: Path) -> None:
    """Write ``folder``, which must not exist. Remains of an interrupted write are deleted first."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with quiet("transformers", warnings=True):
        model.save_pretrained(partial)
        processor.save_pretrained(partial)
    partial.rename(folder)
