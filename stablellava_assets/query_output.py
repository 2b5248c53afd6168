"""Results of SQL as text."""

from __future__ import annotations

import pyarrow as pa


def aligned(table: pa.Table) -> str:
    """A table as aligned text; whole numbers stay whole also where some are missing, and what is missing is None."""
    import pandas as pd

    columns = {}
    for number, (column, kind) in enumerate(zip(table.columns, table.schema.types, strict=True)):
        # Pandas makes floats of whole numbers beside a null, and so NumPy does in lists.
        is_plain = pa.types.is_floating(kind) or pa.types.is_temporal(kind)
        columns[number] = column.to_pandas() if is_plain else pd.Series(column.to_pylist(), dtype=object)
    shown = pd.DataFrame(columns)
    shown.columns = pd.Index(table.column_names)
    return shown.to_string(index=False)
