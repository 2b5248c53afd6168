"""How texts of the base speak of several things: one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from stablellava_assets.abilities.multi_image import ordinals

ORDINALS = ordinals(3)


def in_order(named: Sequence[str]) -> str:
    """Several things, one after the other."""
    return ", then ".join(named)
