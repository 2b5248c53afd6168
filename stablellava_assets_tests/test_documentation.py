"""What the documents tell people to type and to ask is typed and asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stablellava_assets_tests.conftest import copy_of_finished
from stablellava_assets_tests.project import ROOT, Project, run_script

README = ROOT / "README.md"
QUERIES = ROOT / "docs/queries.md"


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_every_documented_query_runs(finished: Project) -> None:
    queries = blocks(QUERIES.read_text(), "sql")
    assert len(queries) >= 6
    for query in queries:
        finished.workspace.warehouse.query(query)


def test_every_linked_file_exists() -> None:
    for document in [README, *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#|data:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def commands() -> list[str]:
    lines = [line for block in blocks(README.read_text(), "bash") for line in block.splitlines()]
    return [line.split("  #")[0].strip() for line in lines if line.strip() and not line.startswith("#")]


def test_the_readme_names_its_commands() -> None:
    assert {"make demo", "make test", "make ui"} <= set(commands())


@pytest.mark.parametrize("command", [line for line in commands() if line.startswith("make ")])
def test_every_make_target_exists(finished: Project, command: str) -> None:
    finished.shell(f"make --dry-run {command.removeprefix('make ')}")


def benchmarks() -> list[str]:
    documents = "".join(document.read_text() for document in [README, *ROOT.glob("docs/*.md")])
    return sorted(set(re.findall(r"benchmarks/[a-z_/]+\.py", documents)))


@pytest.mark.parametrize("script", benchmarks())
def test_every_documented_benchmark_starts(script: str, tmp_path: Path) -> None:
    told = run_script(ROOT / script, "--help", cwd=tmp_path)
    assert told.returncode == 0, told.stdout
    assert "usage:" in told.stdout


@pytest.fixture(scope="module")
def changeable(seed: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished project that commands may change."""
    return copy_of_finished(seed, tmp_path_factory.mktemp("own"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", [line for line in commands() if line.startswith(("dagster asset", "dg ", "stablellava"))]
)
def test_every_command_of_the_readme_works(changeable: Project, command: str) -> None:
    changeable.shell(command)
