"""Diffusion painters on tiny checkpoints, and pipelines that misbehave."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from PIL import Image

from stablellava_assets.painters.diffusion.checkpoint import load_pipeline
from stablellava_assets.painters.diffusion.painter import DiffusionPainter
from stablellava_assets.painters.settings import DiffusionPainterSettings
from stablellava_assets.tables.pair_rows import PromptToPaint
from stablellava_assets_tests.fakes.tiny_sdxl import SIZE
from stablellava_assets_tests.tables.made_up import Row

Pixels = np.ndarray[Any, np.dtype[np.int16]]


def settings_of(folder: Path, **changes: Any) -> DiffusionPainterSettings:
    small = {"kind": "diffusion", "model": str(folder), "width": SIZE, "height": SIZE, "steps": 3, "device": "cpu"}
    return DiffusionPainterSettings.model_validate({**small, **changes})


def painter_of(
    folder: Path, load: Callable[[Any], Any] = load_pipeline, memory: Path | None = None, **changes: Any
) -> DiffusionPainter:
    """``memory`` is the file in which painters remember batch sizes; unset, this one remembers nothing of others."""
    fresh = folder.parent / f"{uuid4().hex}.json"
    return DiffusionPainter(settings_of(folder, **changes), memory or fresh, load)


def painted_by(painter: DiffusionPainter, *specs: PromptToPaint) -> list[Row]:
    """The painted rows, in the order of ``specs``."""
    rows = {row["spec_id"]: row for row in painter.paint(painter.plan(specs))}
    return [rows[spec["spec_id"]] for spec in specs]


def pixels(row: Row) -> Pixels:
    with Image.open(io.BytesIO(row["image"]["bytes"])) as picture:
        return np.asarray(picture, dtype=np.int16)


def largest_difference(one: Row, other: Row) -> int:
    """Of two pictures, in steps of 256."""
    return int(np.abs(pixels(one) - pixels(other)).max())


class Watched:
    """Loads the real pipeline, with its call watched: ``before`` may raise, ``after`` may change the pictures.

    Both get the seeds of the batch; ``after`` also gets the pictures, a tensor.
    """

    def __init__(
        self,
        before: Callable[[list[int]], None] = lambda seeds: None,
        after: Callable[[list[int], Any], None] = lambda seeds, images: None,
    ) -> None:
        self.batches: list[list[int]] = []
        self._before, self._after = before, after

    def __call__(self, settings: DiffusionPainterSettings) -> Any:
        pipeline = load_pipeline(settings)
        kind = type(pipeline)
        watched = self

        @functools.wraps(kind.__call__)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            seeds = [generator.initial_seed() for generator in kwargs["generator"]]
            watched.batches.append(seeds)
            watched._before(seeds)
            output = kind.__call__(self, *args, **kwargs)
            watched._after(seeds, output.images)
            return output

        pipeline.__class__ = type(kind.__name__, (kind,), {"__call__": call})
        return pipeline
