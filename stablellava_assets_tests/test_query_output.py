"""What `stablellava query` prints: whole numbers whole, whatever stands beside them."""

from __future__ import annotations

import pyarrow as pa

from stablellava_assets.query_output import aligned

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
    assert "a" in aligned(pa.table({"a": pa.array([], pa.int64())}))
