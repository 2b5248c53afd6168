"""What the StableLLaVA paper reports, to hold scores against: another model, other pictures and other questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import NamedTuple

from stablellava_assets.evaluation.scores.verdicts import ALL


class Reported(NamedTuple):
    """Share of right answers before and after tuning, as the paper's figure 6 shows it."""

    before: float
    after: float


SOURCE = "Li et al., StableLLaVA, arXiv 2308.10253, figure 6: LLaVA-13B before and after, 50 items per ability"

FIGURE_6 = {
    "ai": {
        "abnormal": Reported(0.44, 0.52),
        "action": Reported(0.78, 0.94),
        "animal": Reported(0.76, 0.92),
        "color": Reported(0.66, 0.76),
        "food": Reported(0.64, 0.78),
        "furniture": Reported(0.60, 0.76),
        "hair": Reported(0.34, 0.52),
        "plant": Reported(0.22, 0.52),
        "profession": Reported(0.68, 0.82),
        "scene": Reported(0.72, 0.84),
        "style": Reported(0.44, 0.60),
        "vehicle": Reported(0.68, 0.82),
    },
    "photos": {
        "abnormal": Reported(0.46, 0.54),
        "action": Reported(0.74, 0.86),
        "animal": Reported(0.62, 0.74),
        "color": Reported(0.62, 0.72),
        "food": Reported(0.76, 0.84),
        "furniture": Reported(0.50, 0.66),
        "hair": Reported(0.46, 0.50),
        "plant": Reported(0.52, 0.56),
        "profession": Reported(0.60, 0.66),
        "scene": Reported(0.64, 0.78),
        "style": Reported(0.24, 0.32),
        "vehicle": Reported(0.52, 0.62),
    },
}
"""By the name that the like benchmark has here, and ability. Its figures for photographs of color and scene before tuning
are read off the plot."""


def reported(figures: Mapping[str, tuple[float, float]], abilities: Iterable[str]) -> dict[str, Reported]:
    """The figures of those abilities that the paper has, and under ``all`` their mean, as its own mean is of other abilities."""
    shared = {ability: Reported(*figures[ability]) for ability in abilities if ability in figures}
    if not shared:
        return {}
    before, after = (fmean(values) for values in zip(*shared.values(), strict=True))
    return shared | {ALL: Reported(before, after)}


def mean_note(in_paper: int, abilities: int) -> str:
    """What that mean is of, to be said beside a total of more ``abilities``; empty where it is of the same."""
    return f"paper: mean of {in_paper} of these {abilities}" if 0 < in_paper < abilities else ""
