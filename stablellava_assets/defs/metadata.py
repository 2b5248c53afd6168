"""Metadata of a partition or a run in the UI."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import dagster as dg

MetadataEntry = dg.MetadataValue | str | float | None
Metadata = Mapping[str, MetadataEntry]
"""By name; the UI plots numbers over time."""


def location(path: str) -> dg.PathMetadataValue:
    """An absolute path or a URL."""
    return dg.MetadataValue.path(path if "://" in path else Path(path).absolute())
