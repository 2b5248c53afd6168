"""Groups of rows about images that belong to one dialogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from stablellava_assets.tables.pair_rows import InGroup, PaintedImage, WrittenSpec

SpecT = TypeVar("SpecT", bound=WrittenSpec)
ImageT = TypeVar("ImageT", bound=PaintedImage)


def complete_groups(painted: Sequence[tuple[SpecT, ImageT]], count: int) -> Iterator[list[tuple[SpecT, ImageT]]]:
    """The groups of which all ``count`` images are there, each in the order of its images."""
    groups: dict[str, dict[int, tuple[SpecT, ImageT]]] = {}
    for spec, image in painted:
        place: InGroup = spec
        group_id, number = place.get("group_id"), place.get("image_number")
        if group_id is not None and number is not None:
            groups.setdefault(group_id, {})[number] = spec, image
    for members in groups.values():
        if len(members) == count:
            yield [members[number] for number in sorted(members)]
