"""Ways of planning compared by the script under benchmarks/, run small, and what it says to wrong input."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stablellava_assets_tests.project import ROOT, Project, run_script

_SCRIPT = ROOT / "benchmarks/error_rounds.py"


@pytest.mark.slow
def test_it_compares_every_way_with_uniform_batches_under_each_seed(finished: Project, tmp_path: Path) -> None:
    sizes = ("--rows", "4", "--rounds", "2", "--seeds", "2", "--questions", "2")
    told = run_script(
        _SCRIPT, str(finished.folder / "data"), *sizes, cwd=tmp_path, environment=finished.environment
    ).stdout
    table = told.split("\n| round | batches |")[-1]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines()[2:] if line]
    assert [row[:2] for row in rows] == [
        ["2", way] for way in ("uniform", "counts", "errors without confusions", "errors")
    ]
    assert all(re.fullmatch(r"[+-]\d\.\d{3}, [+-]\d\.\d{3}", row[6]) for row in rows)
    assert rows[0][6] == "+0.000, +0.000"


@pytest.mark.parametrize("option", ["--rows", "--seeds"])
def test_less_than_one_is_refused(option: str, tmp_path: Path) -> None:
    told = run_script(_SCRIPT, str(tmp_path), option, "0", cwd=tmp_path)
    assert told.stdout.endswith(f"error: argument {option}: 0: give at least 1\n")


def test_a_folder_without_a_demo_is_named(tmp_path: Path) -> None:
    told = run_script(_SCRIPT, str(tmp_path), cwd=tmp_path)
    assert told.stdout == f"{tmp_path}: no tuned model is there; name the data folder of a finished `make demo`\n"
