"""What the documents tell people to type and to ask is typed and asked."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

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


DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]


def anchors(document: Path) -> set[str]:
    """The fragments that GitHub gives the headings of a document."""
    prose = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_link_leads_somewhere(document: Path) -> None:
    for target, fragment in re.findall(r"\]\((?!https?:|data:)([^)#]*)#?([^)]*)\)", document.read_text()):
        linked = document.parent / target if target else document
        assert linked.exists(), f"{document.name} links to {target}"
        if fragment:
            assert fragment in anchors(linked), f"{document.name} links to {target}#{fragment}"


def test_make_help_tells_every_target_and_variable() -> None:
    makefile = (ROOT / "Makefile").read_text()
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.findall(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)[0].split()
    assert {f"make {target}" for target in targets} <= {" ".join(line.split()[:2]) for line in told.splitlines()}
    variables = {*re.findall(r"^(\w+) \?=", makefile, flags=re.MULTILINE), *re.findall(r"\$\(if \$\((\w+)\)", makefile)}
    variables |= set(re.findall(r"^ifdef (\w+)", makefile, flags=re.MULTILINE))
    assert variables <= {line.partition("=")[0] for line in told.splitlines()}


def test_pre_commit_runs_the_linters_of_make_lint() -> None:
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"], (
        "a hook that is downloaded has its own version"
    )
    hooks = {" ".join(hook["entry"].split()[:2]) for repository in repositories for hook in repository["hooks"]}
    linted = re.findall(
        r"^\t@\$\(BIN\)/(.+)$",
        (ROOT / "Makefile").read_text().split("lint: setup")[1].split("format:")[0],
        re.MULTILINE,
    )
    assert hooks == {" ".join(f".venv/bin/{command}".removesuffix(" .").split()[:2]) for command in linted}


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
    changeable.run(command)
