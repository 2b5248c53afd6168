"""What `stablellava query` prints: whole numbers whole, whatever stands beside them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from stablellava_assets.cli.query_output import aligned
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.warehouse import Warehouse

SEED = 7834867375861800873


def test_whole_numbers_stay_whole_beside_what_is_missing() -> None:
    table = pa.table(
        {
            "seed": pa.array([SEED, None], pa.int64()),
            "large": pa.array([2**64 - 1, None], pa.uint64()),
            "listed": pa.array([[SEED, None], None]),
            "inside": pa.array([{"a": SEED}, {"a": None}]),
            "sure": pa.array([True, None]),
            "share": pa.array([0.5, None]),
            "name": ["koala", None],
        }
    )
    lines = aligned(table).splitlines()
    assert lines[1].split() == [
        str(SEED),
        str(2**64 - 1),
        f"[{SEED},",
        "None]",
        "{'a':",
        f"{SEED}}}",
        "True",
        "0.5",
        "koala",
    ]
    assert lines[2].split()[:2] == ["None", "None"]


def test_columns_of_one_name_and_tables_without_rows() -> None:
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    assert [line.split() for line in aligned(twice).splitlines()] == [["a", "a"], ["1", "2"]]
    assert aligned(pa.table({"a": pa.array([], pa.int64()), "b": pa.array([], pa.int64())})) == "a  b\n(no rows)"


def test_values_that_python_has_no_words_for(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "a?[b].duckdb", ParquetStore(str(tmp_path / "tables")))
    warehouse.sync()
    found = warehouse.query(
        "SELECT 'infinity'::DATE a, 340282366920938463463374607431768211455::UHUGEINT b, '101'::BIT c, 1 d, 2 d"
    )
    assert aligned(found).splitlines()[1].split() == [
        "beyond",
        "9999",
        "340282366920938463463374607431768211455",
        "101",
        "1",
        "2",
    ]
