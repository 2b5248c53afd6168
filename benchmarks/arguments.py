"""What the benchmarks' command lines have in common."""

from __future__ import annotations

import argparse


def positive(text: str) -> int:
    """A count of at least one, for ``add_argument``."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text}: give at least 1")
    return number
