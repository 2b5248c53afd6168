"""Where the lines of a radar chart go, for the page to draw in its own colours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 440, 360
_CENTRE = (220.0, 182.0)
_RADIUS = 138.0
_LABEL = 12.0
_RINGS = (0.25, 0.5, 0.75, 1.0)

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """A spoke: where it ends, and where its label stands."""

    label: str
    end: Point
    label_at: Point
    anchor: str


@dataclass(frozen=True)
class Radar:
    """The chart without its series."""

    labels: Sequence[str]

    @property
    def axes(self) -> list[Axis]:
        """The spokes, clockwise from the top."""
        return [self._axis(label, index) for index, label in enumerate(self.labels)]

    @property
    def rings(self) -> list[tuple[float, str]]:
        """The grid: the value of each ring and its corners."""
        return [(value, self.polygon([value] * len(self.labels))) for value in _RINGS]

    def polygon(self, values: Sequence[float]) -> str:
        """The points of a polygon through one value, 0 to 1, an axis."""
        return " ".join(f"{x},{y}" for x, y in (self.point(index, value) for index, value in enumerate(values)))

    def band(self, low: Sequence[float], high: Sequence[float]) -> str:
        """The path of the area between two polygons, to be filled evenodd."""
        return "".join(f"M{self.polygon(values).replace(' ', 'L')}Z" for values in (high, low))

    def gapped(self, values: Mapping[str, float]) -> str:
        """The path through the axes that have a value; those without are not jumped over."""
        count = len(self.labels)
        path = ""
        for index, label in enumerate(self.labels):
            following = self.labels[(index + 1) % count]
            if label in values and following in values:
                (x1, y1), (x2, y2) = (
                    self.point(index, values[label]),
                    self.point((index + 1) % count, values[following]),
                )
                path += f"M{x1},{y1}L{x2},{y2}"
        return path

    def point(self, index: int, value: float, beyond: float = 0.0) -> Point:
        """Where a value lies on an axis, ``beyond`` so many units further out."""
        angle = 2 * math.pi * index / len(self.labels) - math.pi / 2
        distance = _RADIUS * value + beyond
        return (
            round(_CENTRE[0] + distance * math.cos(angle), 1),
            round(_CENTRE[1] + distance * math.sin(angle), 1),
        )

    def _axis(self, label: str, index: int) -> Axis:
        x, y = self.point(index, 1, _LABEL)
        aside = x - _CENTRE[0]
        anchor = "middle" if abs(aside) < _LABEL else "start" if aside > 0 else "end"
        return Axis(label, self.point(index, 1), (x, y + 4), anchor)
