"""Metadata of a partition or a run in the UI."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

MetadataEntry = dg.MetadataValue | str | float | None
Metadata = Mapping[str, MetadataEntry]
"""By name; the UI plots numbers over time."""
