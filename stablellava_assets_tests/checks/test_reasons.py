"""Whoever reads of a gate that refused a partition learns the commonest reasons, and what lies in quarantine."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from click.testing import CliRunner

from stablellava_assets.checks import llava_checkpoint, prompt_specs
from stablellava_assets.checks.gates import GateResult, GateSettings, validate
from stablellava_assets.checks.quarantine import Quarantine, quarantine_list, quarantined_rows
from stablellava_assets.checks.reasons import commonest_reasons, plain
from stablellava_assets.cli.main import main
from stablellava_assets.defs.automation.logs import readable_log
from stablellava_assets.defs.prompt_specs import prompt_specs as prompt_specs_asset
from stablellava_assets.defs.resources import resources_of
from stablellava_assets.tables.places import place_at
from stablellava_assets.tables.schemas import DEFERRED, FAILED, LLAVA_CHECKPOINT, OF_BUDGET, PROMPT_SPECS
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.project import Project
from stablellava_assets_tests.tables.made_up import Row, but
from stablellava_assets_tests.tables.rows_of import spec


def failed(index: int, reason: str, status: str = FAILED) -> Row:
    return {**spec(index, status=status), "reason": reason, "run_id": "run"}


ROWS = [
    *(failed(index, "the answer is empty, also after its repair") for index in range(5)),
    *(failed(index, f"no answer in {index} tries, the last: HTTP 503: loading", DEFERRED) for index in range(5, 8)),
    failed(8, "refused: no"),
    {**failed(9, "budget reached: $1 (budget_usd)", DEFERRED), "fault": OF_BUDGET},
    {**spec(10), "run_id": "run"},
]
DATA = PROMPT_SPECS.from_rows(ROWS)


def test_reasons_are_counted_the_commonest_first_and_rows_named() -> None:
    assert (
        commonest_reasons(PROMPT_SPECS, DATA)
        == "5 rows: the answer is empty, also after its repair; 3 rows: no answer in 5 tries, the last: HTTP 503:"
        f" loading; 1 row: refused: no; for example {ROWS[0]['spec_id'][:12]} ({ROWS[0]['subject']}), "
        f"{ROWS[1]['spec_id'][:12]} ({ROWS[1]['subject']})"
    )
    assert commonest_reasons(PROMPT_SPECS, PROMPT_SPECS.from_rows(ROWS[9:])) is None


def test_a_gate_that_stops_a_stage_names_them() -> None:
    found = {result.gate: result for result in validate(prompt_specs.SUITE, DATA, GateSettings())}
    assert not found["enough_rows_made"].passed
    assert found["enough_rows_made"].observed.startswith(
        "9 of 11 rows; 5 rows: the answer is empty, also after its repair; "
    )


def test_a_number_is_told_with_what_it_is_held_against() -> None:
    alike = PROMPT_SPECS.from_rows([but(spec(index), subject="koala", run_id="run") for index in range(20)])
    found = {result.gate: result for result in validate(prompt_specs.SUITE, alike, GateSettings())}
    assert found["no_subject_dominates"].observed == "1, and should be at most 0.5"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (np.float64(6.03125), "6.031"),
        ((np.float64(6.5), np.int64(3)), "(6.5, 3)"),
        (np.array([1.0, 2.25]), "(1, 2.25)"),
        ({"a": np.float32(0.5)}, "{a: 0.5}"),
        ("koala", "koala"),
        (None, "None"),
        (float("nan"), "nan"),
    ],
)
def test_numbers_are_plain(value: Any, told: str) -> None:
    assert plain(value) == told


def tuned(*losses: float) -> Row:
    row: dict[str, Any] = {field.name: None for field in LLAVA_CHECKPOINT.columns}
    curve = [{"step": step, "loss": loss} for step, loss in enumerate(losses, 1)]
    return {**row, "checkpoint_id": "c", "pairs": 32, "loss_curve": curve}


@pytest.mark.parametrize(
    ("losses", "passed", "told"),
    [
        ((6.0,), True, "too few steps to tell"),
        ((6.0, 6.1, 6.2), True, "too few steps to tell"),
        ((float("nan"),), False, "1 of 1 rows"),
        ((6.0, float("inf")), False, "1 of 1 rows"),
        ((float("nan"),) * 9, False, "1 of 1 rows"),
        ((6.0, 5.0, 4.0, 3.0, 2.0), True, "0 of 1 rows"),
        ((2.0, 3.0, 4.0, 5.0, 6.0), False, "1 of 1 rows, for example c (first_loss 2, last_loss 6)"),
    ],
)
def test_a_tuning_of_few_steps_is_not_refused_for_its_curve(losses: tuple[float, ...], passed: bool, told: str) -> None:
    rows = LLAVA_CHECKPOINT.from_rows([tuned(*losses)])
    found = {result.gate: result for result in validate(llava_checkpoint.SUITE, rows, GateSettings())}
    assert (found["loss_fell"].passed, found["loss_fell"].observed[: len(told)]) == (passed, told)


def quarantine_in(folder: Path) -> Quarantine:
    return Quarantine(place_at(folder, "storage.quarantine"))


def test_what_is_in_quarantine_is_listed_and_shown_with_reasons(tmp_path: Path) -> None:
    quarantine = quarantine_in(tmp_path)
    assert quarantine.entries() == []
    found = [GateResult("enough_rows_made", False, "9 of 10 rows"), GateResult("has_rows", True, "11")]
    kept = quarantine.keep(PROMPT_SPECS, ("animal", "0001"), "0123456789", [DATA], found)
    (entry,) = quarantine.entries()
    assert entry.name == "prompt_specs/animal-0001-01234567"
    assert quarantine_list([entry]).splitlines()[1:] == ["    enough_rows_made: 9 of 10 rows"]
    for name in (
        entry.name,
        "prompt_specs",
        "prompt_specs/animal-0001",
        "animal|0001",
        kept.location,
        Path(kept.location).name,
    ):
        assert quarantine.find(name) == [entry], name
    assert quarantine.find("plant") == []
    shown = quarantined_rows(entry, 3)
    assert shown.count("the answer is empty, also after its repair") == 3
    assert "and 7 rows more" in shown
    assert "1 of the 11 rows have no reason against them." in shown
    everything = quarantined_rows(entry, 100)
    assert "HTTP 503: loading" in everything
    assert "refused: no" in everything


def test_a_file_of_an_earlier_version_and_a_damaged_one(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    folder = tmp_path / "prompt_specs"
    folder.mkdir()
    pq.write_table(DATA.drop_columns(["fault", "settings_key"]), folder / "old.parquet")
    (entry,) = quarantine_in(tmp_path).entries()
    assert "5 rows: the answer is empty" in quarantine_list([entry])
    (folder / "bad.parquet").write_bytes(b"no Parquet")
    (folder / "._old.parquet").write_bytes(b"of another system")
    listed = quarantine_list(quarantine_in(tmp_path).entries())
    assert "bad.parquet: damaged Parquet file" in listed
    assert "5 rows: the answer is empty" in listed, "one file that cannot be read hides no other"
    assert "._old" not in listed
    (bad,) = quarantine_in(tmp_path).find("prompt_specs/bad")
    assert "bad.parquet: damaged Parquet file" in quarantined_rows(bad, 5)
    assert quarantine_in(tmp_path).find(" ") == []


@pytest.mark.parametrize("found", [b"no JSON", b"[1]", b"null"])
def test_findings_that_somebody_else_wrote_do_not_end_the_command(tmp_path: Path, found: bytes) -> None:
    import pyarrow.parquet as pq

    (tmp_path / "prompt_specs").mkdir()
    pq.write_table(
        DATA.replace_schema_metadata({b"stablellava_gates": found}), tmp_path / "prompt_specs" / "odd.parquet"
    )
    (entry,) = quarantine_in(tmp_path).entries()
    assert "reasons: 5 rows: the answer is empty" in quarantined_rows(entry, 1)


def test_reasons_move_nothing_on_a_terminal(tmp_path: Path) -> None:
    data = PROMPT_SPECS.from_rows([failed(0, "HTTP 400:\x1b[2J no\r\nway")])
    kept = quarantine_in(tmp_path)
    kept.keep(PROMPT_SPECS, ("animal", "0001"), "run", [data], [GateResult("enough_rows_made", False, "1 of 1 rows")])
    shown = quarantined_rows(kept.entries()[0], 1)
    assert "HTTP 400: [2J no way" in shown
    assert "\x1b" not in shown


def test_the_run_the_error_and_the_command_name_reason_and_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    project = Project(tmp_path / "project", {**SMALL, "rows_per_batch": 12, "gates": {"max_top_subject_share": 0.01}})
    workspace = project.workspace
    result = dg.materialize(
        [prompt_specs_asset],
        resources=resources_of(workspace),
        partition_key="animal|0001",
        raise_on_error=False,
    )
    assert not result.success
    (entry,) = workspace.quarantine.entries()
    failure = result.failure_data_for_node("prompt_specs")
    assert failure is not None
    assert "no_subject_dominates: " in str(failure.user_failure_data.description if failure.user_failure_data else "")
    assert f"`stablellava quarantine {entry.name}`" in str(failure.user_failure_data)
    (run_failed,) = (event for event in result.all_events if event.event_type_value == "PIPELINE_FAILURE")
    record = logging.LogRecord("dagster", logging.ERROR, "", 0, "the run failed", None, None)
    record.dagster_meta = {"dagster_event": run_failed, "orig_message": "the run failed"}
    formatter = _formatter()
    printed = formatter.format(record)
    assert printed.splitlines()[0].endswith("the run failed")
    assert "no_subject_dominates: " in printed
    monkeypatch.setenv("STABLELLAVA_PROFILE", str(project.profile_path))
    monkeypatch.chdir(project.folder)
    listed = CliRunner().invoke(main, ["quarantine"])
    assert entry.name in listed.output
    assert "no_subject_dominates" in listed.output
    assert "of the 12 rows have no reason" in CliRunner().invoke(main, ["quarantine", entry.name]).output
    missing = CliRunner().invoke(main, ["quarantine", "nothing"])
    assert missing.exit_code == 1
    assert "`stablellava quarantine` lists all of them" in missing.output


def _formatter() -> logging.Formatter:
    logger = readable_log.logger_fn(dg.build_init_logger_context())
    (handler,) = logger.handlers
    assert handler.formatter is not None
    return handler.formatter
