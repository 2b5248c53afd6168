"""What the UI is told of a partition or a run."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

Told = dg.MetadataValue | str | float | None
Metadata = Mapping[str, Told]
"""By the name under which the UI shows it; it plots numbers over time."""
