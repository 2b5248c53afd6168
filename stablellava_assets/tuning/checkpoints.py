"""Hugging Face checkpoint folders: read, and written so that they appear complete or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import LlavaProcessor, PreTrainedModel


def load_checkpoint(folder: Path) -> tuple[PreTrainedModel, LlavaProcessor]:
    """Model, in float32 and on the GPU where there is one, and processor of a folder that the Auto classes read."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    with _without_progress_bars():
        model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
        processor = AutoProcessor.from_pretrained(folder)
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), processor


def save_checkpoint(model: PreTrainedModel, processor: LlavaProcessor, folder: Path) -> None:
    """Write ``folder``, which must not exist; what a killed run left of it before is removed."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with _without_progress_bars():
        model.save_pretrained(partial)
        processor.save_pretrained(partial)
    partial.rename(folder)


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """These folders take milliseconds to read; a bar a file would bury the log."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
