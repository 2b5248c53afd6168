"""Brings rows up to date that are made one by one, as a stage does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from stablellava_assets.tables.journal import RowJournal
from stablellava_assets.tables.rows import InputsT, Make, PlannedRow, Refreshed, in_groups, refresh_together
from stablellava_assets.tables.table import RowT, Table


def refresh(
    table: Table[RowT],
    planned: Sequence[PlannedRow[InputsT]],
    previous: pa.Table | None,
    journal: RowJournal[RowT],
    make: Make[InputsT, RowT],
    run_id: str,
    report: Callable[[str], None],
    group: int = 1,
) -> Refreshed:
    """Bring a partition up to date with its plan, as :func:`refresh_together` does, with rows that are finished one by
    one.

    ``group`` says how many of them are journaled at once; more than one only for fast rows (:data:`GROUP`).
    """
    return refresh_together(table, planned, previous, journal, in_groups(make, group), run_id, report)
