"""The results of the StableLLaVA paper, for comparison. They come from another model,
other images and other questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import NamedTuple

from stablellava_assets.evaluation.scores.verdicts import ALL


class PaperScores(NamedTuple):
    """Accuracy before and after tuning, from the paper's figure 6."""

    before: float
    after: float


SOURCE = "Li et al., StableLLaVA, arXiv 2308.10253, figure 6: LLaVA-13B before and after, 50 items per ability"

FIGURE_6 = {
    "ai": {
        "abnormal": PaperScores(0.44, 0.52),
        "action": PaperScores(0.78, 0.94),
        "animal": PaperScores(0.76, 0.92),
        "color": PaperScores(0.66, 0.76),
        "food": PaperScores(0.64, 0.78),
        "furniture": PaperScores(0.60, 0.76),
        "hair": PaperScores(0.34, 0.52),
        "plant": PaperScores(0.22, 0.52),
        "profession": PaperScores(0.68, 0.82),
        "scene": PaperScores(0.72, 0.84),
        "style": PaperScores(0.44, 0.60),
        "vehicle": PaperScores(0.68, 0.82),
    },
    "photos": {
        "abnormal": PaperScores(0.46, 0.54),
        "action": PaperScores(0.74, 0.86),
        "animal": PaperScores(0.62, 0.74),
        "color": PaperScores(0.62, 0.72),
        "food": PaperScores(0.76, 0.84),
        "furniture": PaperScores(0.50, 0.66),
        "hair": PaperScores(0.46, 0.50),
        "plant": PaperScores(0.52, 0.56),
        "profession": PaperScores(0.60, 0.66),
        "scene": PaperScores(0.64, 0.78),
        "style": PaperScores(0.24, 0.32),
        "vehicle": PaperScores(0.52, 0.62),
    },
}
"""By name of the corresponding benchmark here, and ability. The figures for photographs of color and scene
before tuning are read off the plot.
"""


def reported(figures: Mapping[str, tuple[float, float]], abilities: Iterable[str]) -> dict[str, PaperScores]:
    """The paper's figures for these abilities, and their mean under ``all``, since the paper's
    own mean covers other abilities."""
    shared = {ability: PaperScores(*figures[ability]) for ability in abilities if ability in figures}
    if not shared:
        return {}
    before, after = (fmean(values) for values in zip(*shared.values(), strict=True))
    return shared | {ALL: PaperScores(before, after)}


def mean_note(in_paper: int, abilities: int) -> str:
    """Which abilities the mean covers, for display beside a total of more ``abilities``; empty if they are the same."""
    return f"paper: mean of {in_paper} of these {abilities}" if 0 < in_paper < abilities else ""
