"""Ways of planning compared by the script under benchmarks/, run small, and what it says to wrong input."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import pytest

from stablellava_assets.abilities.catalog import load_catalog
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
    assert [row[:2] for row in rows] == [["2", way] for way in ("uniform", "counts", "errors", "errors and confusions")]
    assert all(re.fullmatch(r"[+-]\d\.\d{3}, [+-]\d\.\d{3}", row[6]) for row in rows)
    assert rows[0][6] == "+0.000, +0.000"


def test_habits_are_those_of_published_prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(_SCRIPT.parent))
    script = importlib.import_module("error_rounds")
    animal = load_catalog().single["animal"]
    subjects = ["Lion"] * 7 + ["zebra"] * 3 + ["dinosaur"] * 2
    rows = [
        dict.fromkeys(("id", "image", "question", "answer"), "x") | {"prompt": f"(({name})), park"} for name in subjects
    ]
    (tmp_path / "animal.json").write_text(json.dumps(rows * 9))
    (tmp_path / "dinosaur.json").write_text(json.dumps(rows))
    habits = script.released_habits({"animal": animal}, tmp_path)
    assert list(habits) == ["animal"]
    assert habits["animal"].keys() == {subject.name for subject in animal.drawn_subjects}
    assert habits["animal"]["lion"] == 100 > habits["animal"]["zebra"] > habits["animal"]["crab"] > 0
    with pytest.raises(SystemExit, match="no file has prompts about the subjects of color"):
        script.released_habits({"color": load_catalog().single["color"]}, tmp_path)


@pytest.mark.parametrize("option", ["--rows", "--seeds"])
def test_less_than_one_is_refused(option: str, tmp_path: Path) -> None:
    told = run_script(_SCRIPT, str(tmp_path), option, "0", cwd=tmp_path)
    assert told.stdout.endswith(f"error: argument {option}: 0: give at least 1\n")


def test_a_folder_without_a_demo_is_named(tmp_path: Path) -> None:
    told = run_script(_SCRIPT, str(tmp_path), cwd=tmp_path)
    assert told.stdout == f"{tmp_path}: no tuned model is there; name the data folder of a finished `make demo`\n"
