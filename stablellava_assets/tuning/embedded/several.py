"""How texts of the base speak of several things: one after the other, and of each by its place."""

from __future__ import annotations

from collections.abc import Sequence

from stablellava_assets.abilities.multi_image import ordinals

ORDINALS = ordinals(3)


def in_order(named: Sequence[str]) -> str:
    """Several things, one after the other."""
    return ", then ".join(named)


def odd_one_of(named: Sequence[str]) -> int | None:
    """Which of three or more is unlike the others, which are alike; None if there is no such one."""
    odd = [at for at, one in enumerate(named) if len({*named[:at], *named[at + 1 :]} - {one}) == 1 == named.count(one)]
    return odd[0] if len(odd) == 1 else None
