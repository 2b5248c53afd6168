"""Geometry of a radar chart: positions of lines and labels, independent of the renderer."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from unicodedata import east_asian_width

FEWEST_AXES = 3
MOST_AXES = 36
"""With more axes, even their numbers would touch."""

LINE = 16.0
"""Line height of labels."""

_RADIUS = 138.0
_LABEL = 12.0
_MARGIN = 6.0
_RINGS = (0.25, 0.5, 0.75, 1.0)
_FONT_SIZE = 14.0
_CHARACTERS_A_LINE = 12
_WIDEST = 8.0
"""Maximum width of a label line in ems; wider labels would make the chart small on a phone."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """A spoke: its end, the lines of its label, the position of the first, and the space for them."""

    end: Point
    lines: Sequence[str]
    label_at: Point
    anchor: str
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Radar:
    """The chart without its series, around the point 0,0. If names would overlap or be cut off, axes are numbered."""

    names: Sequence[str]

    @property
    def numbered(self) -> bool:
        """Whether axes are numbered, so that the names must be listed beside the chart."""
        named = [self._axis(index, lines) for index, lines in enumerate(self._wrapped)]
        too_wide = any(_ems(line) > _WIDEST for axis in named for line in axis.lines)
        return too_wide or any(_overlap(one.box, other.box) for one, other in combinations(named, 2))

    @property
    def axes(self) -> list[Axis]:
        """The spokes, clockwise from the top."""
        numbers = [[str(number)] for number in range(1, len(self.names) + 1)]
        return [self._axis(index, lines) for index, lines in enumerate(numbers if self.numbered else self._wrapped)]

    @property
    def view_box(self) -> tuple[float, float, float, float]:
        """The bounding rectangle: left, top, width and height."""
        rim = (-_RADIUS, -_RADIUS, _RADIUS, _RADIUS)
        lefts, tops, rights, bottoms = zip(rim, *(axis.box for axis in self.axes), strict=True)
        left, top, right, bottom = (
            round(edge, 1)
            for edge in (
                min(lefts) - _MARGIN,
                min(tops) - _MARGIN,
                max(rights) + _MARGIN,
                max(bottoms) + _MARGIN,
            )
        )
        return left, top, round(right - left, 1), round(bottom - top, 1)

    @property
    def rings(self) -> list[tuple[float, str]]:
        """The grid: the value of each ring and its corners."""
        return [(value, self.polygon([value] * len(self.names))) for value in _RINGS]

    def polygon(self, values: Sequence[float]) -> str:
        """The points of a polygon with one value (0 to 1) per axis."""
        return " ".join(f"{x},{y}" for x, y in (self.point(index, value) for index, value in enumerate(values)))

    def band(self, low: Sequence[float], high: Sequence[float]) -> str:
        """The path of the area between two polygons, to be filled with the even-odd rule."""
        return "".join(f"M{self.polygon(values).replace(' ', 'L')}Z" for values in (high, low))

    def gapped(self, values: Mapping[str, float]) -> str:
        """The path through the axes with a value, interrupted at those without."""
        count = len(self.names)
        path = ""
        for index, name in enumerate(self.names):
            following = self.names[(index + 1) % count]
            if name in values and following in values:
                (x1, y1), (x2, y2) = (
                    self.point(index, values[name]),
                    self.point((index + 1) % count, values[following]),
                )
                path += f"M{x1},{y1}L{x2},{y2}"
        return path

    def point(self, index: int, value: float, beyond: float = 0.0) -> Point:
        """The position of a value on an axis, ``beyond`` units further out."""
        angle = 2 * math.pi * index / len(self.names) - math.pi / 2
        distance = _RADIUS * value + beyond
        return round(distance * math.cos(angle), 1), round(distance * math.sin(angle), 1)

    @property
    def _wrapped(self) -> list[list[str]]:
        return [
            textwrap.wrap(name.replace("_", " "), _CHARACTERS_A_LINE, break_long_words=False) for name in self.names
        ]

    def _axis(self, index: int, lines: Sequence[str]) -> Axis:
        """The label grows away from the chart: up at the top, down at the bottom, both ways at the sides."""
        x, y = self.point(index, 1, _LABEL)
        width, height = _FONT_SIZE * max(map(_ems, lines), default=0.0), LINE * len(lines)
        top = y - height / 2 + height / 2 * y / (_RADIUS + _LABEL)
        anchor, left = ("middle", x - width / 2) if abs(x) < _LABEL else ("start", x) if x > 0 else ("end", x - width)
        return Axis(
            end=self.point(index, 1),
            lines=lines,
            label_at=(x, round(top + LINE - 4, 1)),
            anchor=anchor,
            box=(left, top, left + width, top + height),
        )


def _ems(line: str) -> float:
    """Upper bound of a line's width, since the reader's font is unknown."""
    return sum(1.0 if east_asian_width(each) in "WF" or each in "mwMW@%" else 0.65 for each in line)


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
