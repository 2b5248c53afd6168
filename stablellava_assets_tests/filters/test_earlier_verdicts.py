"""Verdicts that earlier versions published, with findings as sentences, are read as those of this version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stablellava_assets.checks.gates import GateResult
from stablellava_assets.checks.quarantine import Quarantine, quarantine_list, quarantined_rows
from stablellava_assets.filters.review.reviews import Review
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.tables.places import place_at
from stablellava_assets.tables.schemas import FILTERED_PAIRS, REJECTED_PAIRS
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.table import STRINGS
from stablellava_assets.tables.warehouse import Warehouse
from stablellava_assets_tests.filters.pairs import NO_BENCHMARK, candidate, judge
from stablellava_assets_tests.tables.made_up import but
from stablellava_assets_tests.verdicts import explanations, nearest, notes, reasons

PARTITION = ("animal", "0001")
SETTINGS = FilterSettings(noted_only=("too_many_keywords", "hedged_answer"))
PAIRS = [
    candidate("first"),
    candidate("second"),
    candidate("tram", prompt="((tram)), road", subject="tram", answer="It may be a koala: perhaps."),
    candidate("kept", prompt="((owl)), forest", subject="owl", answer="A tram stops."),
]
REVIEWS = {"kept": Review(pair_id="kept", decision="keep", reviewer="Ada", note="fine: I looked")}


def as_before(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """The rows in the columns in which earlier versions published them."""
    data = FILTERED_PAIRS.from_rows([but(row, run_id="run") for row in rows]).drop_columns(["findings"])
    sentences = {"reasons": reasons, "explanations": explanations, "notes": notes}
    for name, told in sentences.items():
        data = data.append_column(name, pa.array([told(row) for row in rows], STRINGS))
    return data.append_column("nearest_pair_id", pa.array([nearest(row) for row in rows], pa.string()))


def publish_as_before(store: ParquetStore) -> None:
    judged = judge(PAIRS, [], NO_BENCHMARK, SETTINGS, reviews=REVIEWS)
    for table, rows in ((FILTERED_PAIRS, judged.kept), (REJECTED_PAIRS, judged.rejected)):
        path = Path(store.path(table, PARTITION))
        path.parent.mkdir(parents=True)
        pq.write_table(as_before(rows), path)


def by_pair(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The findings of each pair; those that reject came first in earlier versions."""
    return {row["pair_id"]: sorted(row["findings"], key=str) for row in rows}


def test_their_findings_are_those_of_today(tmp_path: Path) -> None:
    store = ParquetStore(str(tmp_path))
    publish_as_before(store)
    judged = judge(PAIRS, [], NO_BENCHMARK, SETTINGS, reviews=REVIEWS)
    read = [row for table in (FILTERED_PAIRS, REJECTED_PAIRS) for row in store.read_all(table).to_pylist()]
    assert by_pair(read) == by_pair(judged.rows)
    assert {each["outcome"] for findings in by_pair(read).values() for each in findings} == {
        "rejects",
        "notes",
        "overruled",
    }


def test_no_pair_is_examined_again_and_a_decision_can_still_be_withdrawn(tmp_path: Path) -> None:
    store = ParquetStore(str(tmp_path))
    publish_as_before(store)
    previous = [row for table in (FILTERED_PAIRS, REJECTED_PAIRS) for row in table.rows(store.read_all(table))]
    withdrawn = judge(PAIRS, [], NO_BENCHMARK, SETTINGS, previous)
    assert withdrawn.reused == len(PAIRS)
    assert by_pair(withdrawn.rows) == by_pair(judge(PAIRS, [], NO_BENCHMARK, SETTINGS).rows)


def test_the_warehouse_and_single_columns_have_them_too(tmp_path: Path) -> None:
    store = ParquetStore(str(tmp_path / "tables"))
    publish_as_before(store)
    warehouse = Warehouse(tmp_path / "warehouse.duckdb", store)
    warehouse.sync()
    counted = warehouse.query(
        "SELECT finding.rule, finding.pair_id FROM (SELECT unnest(findings) AS finding FROM rejected_pairs) "
        "WHERE finding.outcome = 'rejects' AND finding.pair_id IS NOT NULL"
    )
    assert counted.to_pylist() == [{"rule": "repeated_prompt", "pair_id": "first"}]
    assert store.read_all(REJECTED_PAIRS, columns=["findings"]).column_names == ["findings"]


def test_rows_that_the_checks_refused_are_still_shown(tmp_path: Path) -> None:
    judged = judge(PAIRS, [], NO_BENCHMARK, SETTINGS)
    failed = [GateResult("enough_pairs_kept", False, "2 of 4 rows")]
    quarantine = Quarantine(place_at(tmp_path, "storage.quarantine"))
    path = quarantine.keep(FILTERED_PAIRS, PARTITION, "0123456789", [], failed).location
    kept = pq.ParquetFile(path).schema_arrow.metadata
    pq.write_table(as_before(judged.rows).replace_schema_metadata(kept), path)
    (entry,) = quarantine.entries()
    assert "enough_pairs_kept" in quarantine_list([entry])
    assert "subject_not_named: No word of the answer is a form of 'owl'." in quarantined_rows(entry, 9)
