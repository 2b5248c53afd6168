"""Checks for defects that are visible as soon as an image is made."""

from __future__ import annotations


def uniform(spread: float, least: float) -> str | None:
    """Why an image is too uniform, by the standard deviation of its grey values (0 to 255); None if it is not."""
    if spread >= least:
        return None
    return (
        f"the picture is uniform: its grey values spread by {spread:.2f}, at least {least:g} is asked "
        "(painter.min_spread)"
    )
