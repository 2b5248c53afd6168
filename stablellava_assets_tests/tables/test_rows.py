"""Row-level incrementality and resuming, on a real journal."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stablellava_assets.tables.journal import RowJournal
from stablellava_assets.tables.rows import GROUP, AnyPlanned, PlannedRow, Refreshed, refresh_together
from stablellava_assets.tables.schemas import DEFERRED, FAILED, OF_BUDGET, OF_ENDPOINT, OF_ROW, OF_SETTING, PROMPT_SPECS
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets_tests.tables.made_up import Row, but
from stablellava_assets_tests.tables.refreshing import refresh
from stablellava_assets_tests.tables.rows_of import spec

PARTITION = ("animal", "0001")


def plan(count: int, prompt: str = "((koala)), forest", status: str = "made") -> list[AnyPlanned]:
    rows = [spec(index, prompt=prompt, status=status) for index in range(count)]
    return [PlannedRow(row["spec_id"], row["row_key"], row) for row in rows]


def write(planned: Sequence[AnyPlanned]) -> Iterable[Row]:
    return (dict(row.inputs) for row in planned)


def bring_up_to_date(
    folder: Path, planned: list[AnyPlanned], previous: pa.Table | None = None, run_id: str = "run"
) -> Refreshed:
    with RowJournal(folder, PROMPT_SPECS, PARTITION) as journal:
        refreshed = refresh(PROMPT_SPECS, planned, previous, journal, write, run_id, print)
        journal.discard()
    return refreshed


def test_everything_is_made_the_first_time_and_nothing_the_second(tmp_path: Path) -> None:
    first = bring_up_to_date(tmp_path, plan(5))
    assert first.counts == {"rows": 5, "reused": 0, "resumed": 0, "computed": 5, "failed": 0, "deferred": 0}
    second = bring_up_to_date(tmp_path, plan(5), first.data)
    assert second.reused == 5
    assert second.unchanged
    assert not first.unchanged
    assert second.data.equals(first.data)


def test_rows_that_are_made_at_once_are_kept_in_groups(tmp_path: Path) -> None:
    planned = plan(600)
    with RowJournal(tmp_path, PROMPT_SPECS, PARTITION) as journal:
        refreshed = refresh(PROMPT_SPECS, planned, None, journal, write, "run", print, GROUP)
        assert journal.rows().equals(refreshed.data.combine_chunks())
    assert refreshed.data.equals(bring_up_to_date(tmp_path / "one by one", planned).data)
    with RowJournal(tmp_path, PROMPT_SPECS, PARTITION) as journal:
        resumed = refresh(PROMPT_SPECS, planned, None, journal, write, "another", print)
    assert (resumed.resumed, resumed.computed) == (600, 0)


def test_rows_that_are_finished_together_are_kept_as_soon_as_they_are(tmp_path: Path) -> None:
    planned = plan(20)

    def make(missing: Sequence[AnyPlanned]) -> Iterator[list[Row]]:
        yield list(write(missing[:7]))
        yield list(write(missing[7:9]))
        raise RuntimeError("killed")

    with RowJournal(tmp_path, PROMPT_SPECS, PARTITION) as journal, pytest.raises(RuntimeError, match="killed"):
        refresh_together(PROMPT_SPECS, planned, None, journal, make, "killed", print)
    with RowJournal(tmp_path, PROMPT_SPECS, PARTITION) as journal:
        assert len(journal.numbers()) == 2
    assert bring_up_to_date(tmp_path, planned).resumed == 9


def test_a_partition_without_rows_is_new_until_it_is_published(tmp_path: Path) -> None:
    first = bring_up_to_date(tmp_path, [])
    assert not first.unchanged
    assert bring_up_to_date(tmp_path, [], first.data).unchanged


def test_raising_the_size_makes_only_the_new_rows(tmp_path: Path) -> None:
    first = bring_up_to_date(tmp_path, plan(5), run_id="first")
    second = bring_up_to_date(tmp_path, plan(8), first.data, run_id="second")
    assert (second.reused, second.computed) == (5, 3)
    assert second.data["run_id"].to_pylist() == ["first"] * 5 + ["second"] * 3


def test_a_changed_input_remakes_its_row_alone(tmp_path: Path) -> None:
    first = bring_up_to_date(tmp_path, plan(5))
    changed = [*plan(4), *plan(5, prompt="((koala)), beach")[4:]]
    second = bring_up_to_date(tmp_path, changed, first.data)
    assert (second.reused, second.computed) == (4, 1)
    assert second.data["prompt"].to_pylist()[4] == "((koala)), beach"


def test_rows_no_longer_planned_are_dropped(tmp_path: Path) -> None:
    first = bring_up_to_date(tmp_path, plan(5))
    assert bring_up_to_date(tmp_path, plan(3), first.data).data.num_rows == 3


def test_failed_rows_stay_and_deferred_rows_are_tried_again(tmp_path: Path) -> None:
    failed = bring_up_to_date(tmp_path, plan(3, status=FAILED))
    assert failed.failed == 3
    assert bring_up_to_date(tmp_path, plan(3, status=FAILED), failed.data).reused == 3
    deferred = bring_up_to_date(tmp_path, plan(3, status=DEFERRED))
    again = bring_up_to_date(tmp_path, plan(3), deferred.data)
    assert (again.computed, again.deferred) == (3, 0)


def test_a_maker_that_leaves_a_row_out_is_found_out(tmp_path: Path) -> None:
    with (
        RowJournal(tmp_path, PROMPT_SPECS, PARTITION) as journal,
        pytest.raises(ValueError, match="1 rows were not made"),
    ):
        refresh(PROMPT_SPECS, plan(3), None, journal, lambda planned: write(planned[:2]), "run", print)


def test_a_maker_that_makes_another_row_is_found_out(tmp_path: Path) -> None:
    with RowJournal(tmp_path, PROMPT_SPECS, PARTITION) as journal, pytest.raises(ValueError, match="not asked for"):
        refresh(PROMPT_SPECS, plan(1), None, journal, lambda planned: [spec(9)], "run", print)


def die_after(count: int, folder: Path) -> None:
    def make(planned: Sequence[AnyPlanned]) -> Iterable[Row]:
        for index, row in enumerate(write(planned)):
            if index == count:
                os.kill(os.getpid(), signal.SIGKILL)
            yield row

    with RowJournal(folder, PROMPT_SPECS, PARTITION) as journal:
        refresh(PROMPT_SPECS, plan(20), None, journal, make, "killed", print)


def test_a_killed_process_loses_only_the_row_in_flight(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=die_after, args=(13, tmp_path))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    finished = bring_up_to_date(tmp_path, plan(20), run_id="second")
    assert (finished.resumed, finished.computed) == (13, 7)
    undisturbed = bring_up_to_date(tmp_path / "other", plan(20))
    assert finished.data.drop(["run_id"]).equals(undisturbed.data.drop(["run_id"]))


def failing(count: int, fault: str, settings_key: str) -> list[AnyPlanned]:
    """Rows that fail by such a fault, planned with such settings."""
    rows = [{**spec(index, status=FAILED), "fault": fault} for index in range(count)]
    return [PlannedRow(row["spec_id"], row["row_key"], row, settings_key) for row in rows]


def test_what_failed_by_a_setting_is_tried_again_when_settings_change_and_only_then(tmp_path: Path) -> None:
    first = bring_up_to_date(tmp_path, failing(3, OF_SETTING, "small"))
    assert first.data["fault"].to_pylist() == [OF_SETTING] * 3
    assert first.data["settings_key"].to_pylist() == ["small"] * 3
    again = bring_up_to_date(tmp_path, failing(3, OF_SETTING, "small"), first.data)
    assert (again.reused, again.computed, again.unchanged) == (3, 0, True)
    mended = [PlannedRow(row.row_id, row.row_key, spec(at), "large") for at, row in enumerate(failing(3, "", ""))]
    second = bring_up_to_date(tmp_path, mended, first.data)
    assert (second.reused, second.computed, second.failed) == (0, 3, 0)
    assert second.data["fault"].null_count == second.data["settings_key"].null_count == 3


def test_what_failed_by_itself_stays_failed_whatever_the_settings(tmp_path: Path) -> None:
    first = bring_up_to_date(tmp_path, failing(3, OF_ROW, "small"))
    assert first.data["settings_key"].null_count == 3
    assert bring_up_to_date(tmp_path, failing(3, OF_ROW, "large"), first.data).reused == 3


def test_a_row_that_waits_for_the_budget_says_so_and_is_tried_again(tmp_path: Path) -> None:
    rows = [{**spec(index, status=DEFERRED), "fault": OF_BUDGET if index else None} for index in range(2)]
    planned = [PlannedRow(row["spec_id"], row["row_key"], row) for row in rows]
    first = bring_up_to_date(tmp_path, planned)
    assert first.data["fault"].to_pylist() == [OF_ENDPOINT, OF_BUDGET]
    afforded = [PlannedRow(row.row_id, row.row_key, spec(index)) for index, row in enumerate(planned)]
    second = bring_up_to_date(tmp_path, afforded, first.data)
    assert (second.computed, second.data["fault"].null_count) == (2, 2)


def test_a_killed_or_refused_run_keeps_apart_what_a_setting_made_fail(tmp_path: Path) -> None:
    with RowJournal(tmp_path, PROMPT_SPECS, PARTITION) as journal:
        refresh(PROMPT_SPECS, failing(3, OF_SETTING, "small"), None, journal, write, "run", print)
        unchanged = refresh(PROMPT_SPECS, failing(3, OF_SETTING, "small"), None, journal, write, "run", print)
        assert (unchanged.resumed, unchanged.computed) == (3, 0)
        mended = [PlannedRow(row.row_id, row.row_key, spec(at), "large") for at, row in enumerate(failing(3, "", ""))]
        tried = refresh(PROMPT_SPECS, mended, None, journal, write, "run", print)
        assert (tried.resumed, tried.computed, tried.failed) == (0, 3, 0)
        kept = refresh(PROMPT_SPECS, mended, None, journal, write, "run", print)
        assert (kept.resumed, kept.computed, kept.failed) == (3, 0, 0)


def test_made_and_failed_rows_of_earlier_versions_are_taken_over(tmp_path: Path) -> None:
    store = ParquetStore(str(tmp_path / "tables"))
    old = PROMPT_SPECS.from_rows([but(spec(0), run_id="old"), but(spec(1, status=FAILED), run_id="old")]).drop_columns(
        ["fault", "settings_key"]
    )
    path = Path(store.path(PROMPT_SPECS, PARTITION))
    path.parent.mkdir(parents=True)
    pq.write_table(old, path)
    previous = store.read(PROMPT_SPECS, PARTITION)
    rows = [spec(0), spec(1, status=FAILED)]
    planned = [PlannedRow(row["spec_id"], row["row_key"], row, "any") for row in rows]
    refreshed = bring_up_to_date(tmp_path, planned, previous)
    assert (refreshed.reused, refreshed.unchanged) == (2, True)
