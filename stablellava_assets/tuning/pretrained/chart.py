"""A chart of a training run for the asset's page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from stablellava_assets.pictures.figures import png_of
from stablellava_assets.tuning.pretrained.progress import LogPoint

_COLOR = "#2f6fde"
_Panel = Literal["loss", "learning_rate", "samples_per_second", "peak_memory_bytes"]
_PANELS: tuple[tuple[_Panel, str, float], ...] = (
    ("loss", "loss", 1.0),
    ("learning_rate", "learning rate", 1.0),
    ("samples_per_second", "samples/s", 1.0),
    ("peak_memory_bytes", "peak memory, GiB", 1 / (1 << 30)),
)


def training_chart(log: Sequence[LogPoint]) -> bytes:
    """Loss, learning rate, throughput and memory by optimizer step, as PNG; phases follow each other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.4), layout="constrained")
    phases = list(dict.fromkeys(point["phase"] for point in log))
    for axes, (key, label, scale) in zip(figure.subplots(2, 2).flat, _PANELS, strict=True):
        before = 0
        for phase in phases:
            points = [point for point in log if point["phase"] == phase]
            axes.plot(
                [before + point["step"] for point in points], [scale * point[key] for point in points], color=_COLOR
            )
            before += points[-1]["step"]
            if phase != phases[-1]:
                axes.axvline(before, color="#9aa5b1", linewidth=1)
        axes.set_xlabel("step")
        axes.set_ylabel(label)
        axes.spines[["top", "right"]].set_visible(False)
    return png_of(figure)
