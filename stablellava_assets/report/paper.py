"""What the StableLLaVA paper reports, to hold scores against: another model, other pictures and other questions."""

from __future__ import annotations

from typing import NamedTuple


class Reported(NamedTuple):
    """Share of right answers before and after tuning, as the paper's figure 6 shows it."""

    before: float
    after: float


SOURCE = "Li et al., StableLLaVA, arXiv 2308.10253, figure 6: LLaVA-13B before and after, 50 items an ability"

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
        "all": Reported(0.580, 0.733),
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
        "all": Reported(0.557, 0.650),
    },
}
"""By the name that the like benchmark has here, and ability. Its figures for photographs of color and scene before tuning,
and so their mean, are read off the plot."""
