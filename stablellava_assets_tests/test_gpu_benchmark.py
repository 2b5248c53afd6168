"""The benchmark for a GPU: every step in small, what is built at full size, and that no step ends the others."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from stablellava_assets_tests.project import ROOT, run_script

SCRIPT = ROOT / "benchmarks/on_gpu.py"
FIGURES = {
    "SDXL": 4,
    "SDXL, one step": 1,
    "tuning LLaVA-1.5-7B": 3,
    "scoring LLaVA-1.5-7B": 4,
    "tuning Qwen2.5-VL-7B": 1,
    "FLUX": 2,
}
"""Rows of each group; TRL, which the tests do not install, has none."""
AS_ON_ANOTHER_MACHINE = """
import importlib.metadata
import sys

known = importlib.metadata.version


def version(name):
    if name == "stablellava-assets":
        raise importlib.metadata.PackageNotFoundError(name)
    return known(name)


importlib.metadata.version = version
sys.modules.update(dict.fromkeys(["dagster", "duckdb", "great_expectations"]))
"""
"""Read as Python starts: the project is not installed, and what the benchmark is to do without is not there."""


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.slow(90)
def test_every_step_runs_in_small_on_a_copied_checkout(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for part in ("benchmarks", "stablellava_assets", "stablellava_assets_tests"):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "sitecustomize.py").write_text(AS_ON_ANOTHER_MACHINE)
    ran = subprocess.run(
        [sys.executable, copy / "benchmarks/on_gpu.py", "--tiny", "--output", tmp_path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads((tmp_path / "results.json").read_text())
    measured = [row for row in told["rows"] if row["figure"]]
    assert {group: sum(row["group"] == group for row in measured) for group in FIGURES} == FIGURES
    assert [row["what"] for row in told["rows"] if not row["figure"]] == ["tuning-trl"]
    assert not [row for row in told["rows"] if "no good" in row["remark"]]
    assert {"torch", "diffusers", "peft"} <= told["machine"].keys()
    table = (tmp_path / "results.md").read_text()
    assert table in ran.stdout
    painter = next(line for line in table.splitlines() if "the painter, equal settings" in line and "SDXL" in line)
    loop = next(row["figure"] for row in measured if row["what"] == "the paper's loop")
    ours = next(row["figure"] for row in measured if row["what"] == "the painter, equal settings")
    assert cells(painter)[3:5] == [f"{ours / loop:.2f}", "1.5"]


@pytest.mark.slow
def test_full_sizes_are_those_of_the_checkpoints_and_the_profiles_rows_fit_a_card(tmp_path: Path) -> None:
    ran = run_script(SCRIPT, "--outline", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout
    rows = [cells(line) for line in ran.stdout.splitlines() if line.startswith("|")]
    networks = [row for row in rows if len(row) == 5 and re.fullmatch(r"[\d,]+", row[2])]
    assert len(networks) == 10
    for model, network, built, published, _ in networks:
        assert built == published, f"{network} of {model}"
    llava = next(row for row in rows if row[0] == "LLaVA-1.5-7B" and len(row) == 6)
    by_rows_at_once = dict(zip((4, 8, 16), map(int, llava[3:]), strict=True))
    profile = yaml.safe_load((ROOT / "stablellava_assets/profiles/cluster.yaml").read_text())
    most = max(rows for rows, gigabytes in by_rows_at_once.items() if gigabytes < 80)
    assert profile["tuning"]["machine"]["micro_batch"] == most


@pytest.fixture(name="script")
def _script(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("on_gpu", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "on_gpu", module)  # Where its steps are found by the processes they run in.
    spec.loader.exec_module(module)
    yield module
    for name in [name for name in sys.modules if name.partition(".")[0] == "gpu"]:
        del sys.modules[name]


def run(script: Any, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    status: int = script.main()
    return status


def test_a_step_that_takes_too_long_costs_its_rows_and_the_rest_goes_on(
    script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(script.STEPS, "painting", script.STEPS["painting"]._replace(seconds=1))
    status = run(script, monkeypatch, "--tiny", "--steps", "painting", "scoring", "--output", str(tmp_path))
    assert status == 1
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert [row["remark"] for row in rows if row["group"] == "SDXL"] == ["ended after its 1 s (painting.log)"]
    assert sum(row["group"] == "scoring LLaVA-1.5-7B" and row["figure"] > 0 for row in rows) == 4


def test_a_step_that_fails_says_why(
    script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STABLELLAVA_BENCHMARK_FOLDER", str(tmp_path / "missing"))
    assert run(script, monkeypatch, "--tiny", "--steps", "scoring", "--output", str(tmp_path)) == 1
    assert "failed: FileNotFoundError" in (tmp_path / "results.md").read_text()
    assert "not measured" in capsys.readouterr().out


def test_what_there_is_no_time_for_is_left_out(script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    arguments = ("--tiny", "--steps", "scoring", "flux", "--minutes", "0.01", "--output", str(tmp_path))
    assert run(script, monkeypatch, *arguments) == 0
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert {row["remark"] for row in rows} == {"left out: the 0.01 minutes of --minutes were used up"}


def test_what_lacks_is_named_before_anything_is_built(
    script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "NEEDED", (*script.NEEDED, "a_package"))
    assert run(script, monkeypatch, "--tiny", "--output", str(tmp_path / "out")) == 2
    assert "pip install a_package" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_a_gpu_it_says_so(script: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert run(script, monkeypatch, "--output", str(tmp_path / "out")) == 2
    assert "--tiny" in capsys.readouterr().err
