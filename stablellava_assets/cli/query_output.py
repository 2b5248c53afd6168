"""Query results as text."""

from __future__ import annotations

from typing import Any

import pyarrow as pa


def aligned(table: pa.Table) -> str:
    """A result as aligned text. Integer columns with nulls stay integers, and nulls are shown as None."""
    import pandas as pd

    if table.num_rows == 0:
        return f"{'  '.join(table.column_names)}\n(no rows)"
    columns = {}
    for number, (column, kind) in enumerate(zip(table.columns, table.schema.types, strict=True)):
        # pandas converts integers beside a null to floats, and NumPy does so in lists.
        is_plain = pa.types.is_floating(kind) or pa.types.is_temporal(kind)
        try:
            columns[number] = column.to_pandas() if is_plain else pd.Series(column.to_pylist(), dtype=object)
        except (ValueError, OverflowError):
            columns[number] = pd.Series([_shown(value) for value in column], dtype=object)
    shown = pd.DataFrame(columns)
    shown.columns = pd.Index(table.column_names)
    return shown.to_string(index=False)


def _shown(value: pa.Scalar[Any]) -> Any:
    """A value, as text if Python cannot represent it: DuckDB's dates may be later than the year 9999, or infinite."""
    try:
        return value.as_py()
    except (ValueError, OverflowError):
        return "beyond 9999"
