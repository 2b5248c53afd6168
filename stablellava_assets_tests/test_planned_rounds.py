"""The comparison of planned batches with uniform ones under benchmarks/, run small, and what it says to wrong input."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stablellava_assets_tests.project import FEW_ABILITIES, ROOT, Project, run_script

_SCRIPT = ROOT / "benchmarks/planned_rounds.py"


@pytest.mark.slow
def test_it_tells_what_was_planned_and_what_came_of_it_under_each_seed(finished: Project, tmp_path: Path) -> None:
    sizes = ("--rows", "4", "--rounds", "2", "--seeds", "2", "--questions", "2")
    told = run_script(
        _SCRIPT, str(finished.folder / "data"), *sizes, cwd=tmp_path, environment=finished.environment
    ).stdout
    tables = told.split("\n| ability | uniform |")[-1]
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in tables.splitlines()[2:] if line}
    assert set(rows) == set(FEW_ABILITIES)
    planned = {ability: re.findall(r"\d+", cells[-1]) for ability, cells in rows.items()}
    assert all(len(sizes) == 4 and sizes[0] == sizes[2] == "4" for sizes in planned.values())
    for second_round in (1, 3):
        assert sum(int(sizes[second_round]) for sizes in planned.values()) == 4 * len(FEW_ABILITIES)
    assert all(re.fullmatch(r"[+-]\d\.\d{3}, [+-]\d\.\d{3}", cells[-2]) for cells in rows.values())


@pytest.mark.parametrize("option", ["--rows", "--seeds"])
def test_less_than_one_is_refused(option: str, tmp_path: Path) -> None:
    told = run_script(_SCRIPT, str(tmp_path), option, "0", cwd=tmp_path)
    assert told.stdout.endswith(f"error: argument {option}: 0: give at least 1\n")


def test_a_folder_without_a_demo_is_named(tmp_path: Path) -> None:
    told = run_script(_SCRIPT, str(tmp_path), cwd=tmp_path)
    assert told.stdout == f"{tmp_path}: no tuned model is there; name the data folder of a finished `make demo`\n"
