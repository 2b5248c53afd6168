"""The reference of every table, as Markdown, from the schemas themselves."""

from __future__ import annotations

import pyarrow as pa

from stablellava_assets.tables.schemas import TABLES
from stablellava_assets.tables.table import CONVERSATIONS, FACTS, IMAGE, Table

_SHORT = {
    str(IMAGE): "struct: bytes, path",
    str(CONVERSATIONS): "list of struct: from, value",
    str(FACTS): "list of struct: name, value",
}


def tables_reference() -> str:
    """A section a table: what a row is, how it is partitioned, what each column means."""
    head = (
        "# Tables\n\n"
        "Written by `stablellava describe-tables > docs/tables.md` from the schemas in "
        "`stablellava_assets/tables/schemas.py`, which are the only definition.\n\n"
        "Parquet is the truth: `data/tables/<table>/<column>=<value>/part-0.parquet`. `data/warehouse.duckdb` holds the "
        "same tables without the encoded pictures; views named `<table>_pictures` show those."
    )
    return "\n\n".join([head, *(_section(table) for table in TABLES)])


def _section(table: Table) -> str:
    partitions = ", ".join(table.partitioned_by) or "not partitioned"
    rows = [
        f"| `{column.name}` | {_type(column.type)} | {table.description_of(column.name)} |" for column in table.columns
    ]
    return "\n".join(
        [
            f"## {table.name}",
            "",
            f"{table.description} Row id: `{table.row_id}`. Partitioned by: {partitions}.",
            "",
            "| column | type | meaning |",
            "|---|---|---|",
            *rows,
        ]
    )


def _type(kind: pa.DataType) -> str:
    return (
        _SHORT.get(str(kind), str(kind))
        .replace("list<element: string>", "list of string")
        .replace("list<item: string>", "list of string")
    )
