"""Text normalization for comparisons."""

from __future__ import annotations


def normalized_text(text: str) -> str:
    """Text in lower case, single-spaced."""
    return " ".join(text.casefold().split())
