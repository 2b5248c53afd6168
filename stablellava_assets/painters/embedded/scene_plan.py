"""A scene resolved to artwork files: the interface between prompt parser and compositor.

Plain tuples and numbers, so that worker processes need neither the catalog nor pydantic.
"""

from __future__ import annotations

from dataclasses import dataclass

Color = tuple[int, int, int]


@dataclass(frozen=True)
class SpriteLayer:
    """One sprite of a drawing; one of ``files`` is chosen. Offsets and scale are fractions of the drawing's box."""

    files: tuple[str, ...]
    scale: float = 1.0
    dx: float = 0.0
    dy: float = 0.0
    turn: float = 0.0
    tint: Color | None = None


Drawing = tuple[SpriteLayer, ...]


@dataclass(frozen=True)
class BackdropPlan:
    """Two gradients that meet at the horizon, and the artwork files of props on the ground and in the sky."""

    sky: tuple[Color, Color]
    ground: tuple[Color, Color]
    horizon: float
    props: tuple[str, ...] = ()
    sky_props: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScenePlan:
    """Everything that is drawn. ``lights`` and ``effect`` are names that the painter implements."""

    drawing: Drawing = ()
    backdrop: BackdropPlan | None = None
    effect: str | None = None
    lights: tuple[str, ...] = ()
    position: str | None = None
    distance: str | None = None
    number: int | None = None
    """How many times the drawing is repeated, side by side; None: once, placed by ``position`` and ``distance``."""
    in_scene: bool = False
    """The backdrop is the subject: objects in it are drawn smaller, so that the scene stays visible."""
    in_group: bool = False
    """The seed may be that of other images, from which this one must not differ but for what the prompts say."""
