"""The files of ``deploy/`` can be read by what reads them, and name what is there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets.profiles import profile

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
VARIABLES = {getattr(profile, name) for name in vars(profile) if name.endswith("_VARIABLE")}


def documents(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.yaml")), ids=lambda path: path.name)
def test_yaml_loads(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text()), dict)


@pytest.mark.parametrize(
    "path", [path for path in sorted(DEPLOY.rglob("*")) if path.is_file()], ids=lambda path: path.name
)
def test_variables_and_extras_are_those_of_the_project(path: Path) -> None:
    text = path.read_text()
    assert set(re.findall(r"STABLELLAVA_[A-Z]+", text)) <= VARIABLES | {"STABLELLAVA_CHECKOUT"}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {name for found in re.findall(r"'\.\[(.*?)\]'", text) for name in found.split(",")} <= extras.keys()
    assert not re.search(r"postgresql://[^/@\s]*:[^/@\s]*@", text), "a password in an address"


def test_compose_has_every_part_and_two_workers() -> None:
    compose = documents("compose.yaml")
    services = compose["services"]
    assert services.keys() == {"postgres", "s3", "bucket", "webserver", "daemon", "ray", "worker"}
    assert services["worker"]["deploy"]["replicas"] == 2
    for name, service in services.items():
        assert "image" in service, name
        assert set(service.get("depends_on", ())) <= services.keys()
        for volume in service.get("volumes", ()):
            assert volume.split(":")[0] in compose["volumes"]


def test_compose_follows_the_schema(tmp_path: Path) -> None:
    """The schema that check-jsonschema brings."""
    pytest.importorskip("check_jsonschema", reason="not run: check-jsonschema is missing (make test installs it)")
    path = tmp_path / "compose.json"
    path.write_text(json.dumps(documents("compose.yaml")))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    assert subprocess.run(command, check=False).returncode == 0


def test_dagster_knows_every_section_of_its_file() -> None:
    from dagster._core.instance.config import dagster_instance_config_schema

    assert documents("dagster.yaml").keys() <= dagster_instance_config_schema().keys()


def test_the_same_secrets_and_addresses_are_used_by_chart_and_cluster() -> None:
    values, cluster = documents("helm/values.yaml"), documents("helm/raycluster.yaml")
    (code,) = values["dagster-user-deployments"]["deployments"]
    head = cluster["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    worker = cluster["spec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]
    assert head["env"] == worker["env"]
    assert {each["name"]: each["value"] for each in code["env"]}.items() <= {
        each["name"]: each["value"] for each in head["env"]
    }.items()
    assert head["image"] == worker["image"] == ":".join((code["image"]["repository"], code["image"]["tag"]))
    launcher = values["runLauncher"]["config"]["customRunLauncher"]
    assert launcher["config"]["ray"]["address"] == f"http://{cluster['metadata']['name']}-head-svc:8265"
    assert head["envFrom"][0]["secretRef"]["name"] == values["global"]["postgresqlSecretName"]


def test_the_job_of_slurm_has_a_task_per_ability(tmp_path: Path) -> None:
    script = DEPLOY / "slurm/batch.sbatch"
    subprocess.run(["bash", "-n", script], check=True)
    abilities = sorted(load_catalog())
    text = script.read_text()
    assert f"abilities=({' '.join(abilities)})" in text
    assert f"--array=0-{len(abilities) - 1} " in text
    srun = tmp_path / "srun"
    srun.write_text('#!/bin/sh\necho "$STABLELLAVA_PROFILE" "$@"\n')
    srun.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "USER": "me", "STABLELLAVA_DATA": str(tmp_path / "data")}
    environment |= {"SLURM_ARRAY_TASK_ID": "2", "SLURM_SUBMIT_DIR": str(ROOT)}
    told = subprocess.run([script, "0007"], env=environment, capture_output=True, text=True, check=True).stdout
    assert told.startswith("cluster .venv/bin/dagster asset materialize ")
    assert told.endswith("--partition animal|0007\n")
