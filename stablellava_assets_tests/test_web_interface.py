"""What the Dagster UI shows, asked of a real web server in the way its pages ask."""

from __future__ import annotations

import base64
import io
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from stablellava_assets.tables.schemas import LLAVA_CHECKPOINT
from stablellava_assets_tests.conftest import copy_of_finished
from stablellava_assets_tests.project import BIN, Project

BESIDE = {
    "rejected_pairs": {"filtered_pairs"},
    "comparisons": {"filtered_pairs"},
    "contamination": {"filtered_pairs"},
    "alignment_scores": {"filtered_pairs"},
    "ability_answers": {"ability_scores"},
    "reference_answers": {"ability_scores"},
    "answer_judgements": {"ability_scores"},
    "ability_diagnosis": {"ability_scores"},
}
"""What is published beside an asset, under which it stands."""
NOT_ASKED_FOR = {"alignment_scores", "reference_answers", "answer_judgements", "ability_diagnosis"}
"""Tables that the embedded profile has no rows of."""
QUERY = """
query {
  assetNodes {
    assetKey { path }
    groupName
    description
    kinds
    owners { ... on TeamAssetOwner { team } }
    dependencyKeys { path }
    metadataEntries { label ... on TableSchemaMetadataEntry { schema { columns { name description } } } }
    assetMaterializations(limit: 1) {
      metadataEntries {
        label
        ... on MarkdownMetadataEntry { mdStr }
        ... on IntMetadataEntry { intValue }
        ... on PathMetadataEntry { path }
      }
    }
    assetChecksOrError {
      ... on AssetChecks { checks { name description executionForLatestMaterialization { status } } }
    }
  }
}
"""


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def wait_for_server(url: str) -> None:
    for _ in range(240):
        try:
            if requests.get(f"{url}/server_info", timeout=5).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.25)
    raise AssertionError(f"nothing answers at {url}")


@pytest.fixture(scope="module")
def url(seed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the UI answers, started as people start it, of a finished project."""
    project = copy_of_finished(seed, tmp_path_factory.mktemp("ui"))
    port = free_port()
    # Through a shell, as it is typed: an activated checkout has functions, too.
    server = project.start(f"bash -c 'source {BIN}/activate && dagster dev --port {port}'")
    try:
        wait_for_server(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        # Its services may wait for each other when all are told to end at once.
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.fixture(scope="module")
def nodes(url: str) -> dict[str, dict[str, Any]]:
    answer = requests.post(f"{url}/graphql", json={"query": QUERY}, timeout=60).json()
    return {node["assetKey"]["path"][0]: node for node in answer["data"]["assetNodes"]}


def metadata(node: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {entry["label"]: entry for entry in node["assetMaterializations"][0]["metadataEntries"]}


def test_the_graph_is_the_missions(nodes: dict[str, dict[str, Any]]) -> None:
    upstream = {name: {key["path"][0] for key in node["dependencyKeys"]} for name, node in nodes.items()}
    assert upstream == {
        "prompt_specs": set(),
        "images": {"prompt_specs"},
        "dialogues": {"prompt_specs", "images"},
        "ability_benchmark": set(),
        "filtered_pairs": {"prompt_specs", "images", "dialogues", "ability_benchmark"},
        "llava_checkpoint": {"filtered_pairs", "images"},
        "ability_scores": {"llava_checkpoint", "ability_benchmark"},
        **BESIDE,
    }


def test_every_asset_is_described(nodes: dict[str, dict[str, Any]]) -> None:
    for name, node in nodes.items():
        assert len(node["description"]) > 40, name
        # The UI shows several groups folded, and one as the whole graph.
        assert node["groupName"] == "stablellava"
        assert node["kinds"]
        assert node["owners"] == [{"team": "vision-language-data"}]
        (schema,) = (entry["schema"] for entry in node["metadataEntries"] if entry["label"] == "dagster/column_schema")
        assert all(column["description"] for column in schema["columns"])
        if name in ("rejected_pairs", "comparisons", "contamination"):  # Of a partition, which may reject no pair.
            assert metadata(node)["dagster/partition_row_count"]["intValue"] >= int(name != "rejected_pairs")
        elif name not in NOT_ASKED_FOR:
            assert metadata(node)["dagster/row_count"]["intValue"] > 0


def test_every_gate_is_a_check_that_passed(nodes: dict[str, dict[str, Any]]) -> None:
    for name, node in nodes.items():
        checks = node["assetChecksOrError"]["checks"]
        assert len(checks) >= (0 if name in BESIDE else 3), name
        for check in checks:
            assert check["description"]
            assert check["executionForLatestMaterialization"]["status"] == "SUCCEEDED", (name, check["name"])


@pytest.mark.parametrize(
    ("asset", "label"),
    [
        ("images", "contact_sheet"),
        ("ability_benchmark", "contact_sheet"),
        ("filtered_pairs", "kept"),
        ("llava_checkpoint", "loss"),
        ("ability_scores", "plot"),
        ("ability_scores", "radar"),
    ],
)
def test_pictures_are_inside_the_page_and_small(nodes: dict[str, dict[str, Any]], asset: str, label: str) -> None:
    markdown = metadata(nodes[asset])[label]["mdStr"]
    found = re.fullmatch(r"!\[[^\]]+\]\(data:image/(?:jpeg|png);base64,([A-Za-z0-9+/=]+)\)", markdown)
    assert found
    assert len(markdown) <= 100_000
    with Image.open(io.BytesIO(base64.b64decode(found[1]))) as picture:
        assert picture.width >= 400


def test_the_gallery_can_be_found(nodes: dict[str, dict[str, Any]], seed: Path) -> None:
    page = seed / "data/gallery/index.html"
    assert page.is_file()
    assert metadata(nodes["filtered_pairs"])["gallery"]["path"] == str(page)


def test_the_report_can_be_found(nodes: dict[str, dict[str, Any]], finished: Project, seed: Path) -> None:
    checkpoint = finished.workspace.store.read_all(LLAVA_CHECKPOINT)["checkpoint_id"][-1].as_py()
    page = seed / "data/report" / finished.workspace.report.page(checkpoint).name
    assert page.is_file()
    assert metadata(nodes["ability_scores"])["report"]["path"] == str(page)
    assert page.name in (page.parent / "index.html").read_text()


def test_the_scores_are_a_table(nodes: dict[str, dict[str, Any]]) -> None:
    table = metadata(nodes["ability_scores"])["scores"]["mdStr"]
    assert table.startswith("| ability | n | base | tuned |")
    assert "| all abilities |" in table


@pytest.mark.slow
def test_the_ui_starts_as_people_start_it(url: str) -> None:
    query = "{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError { __typename } } } } }"
    (entry,) = requests.post(f"{url}/graphql", json={"query": query}, timeout=60).json()["data"]["workspaceOrError"][
        "locationEntries"
    ]
    assert entry["locationOrLoadError"]["__typename"] == "RepositoryLocation"


def test_make_starts_it_in_the_same_way(project: Project, tmp_path: Path) -> None:
    told = tmp_path / "bin/dagster"
    told.parent.mkdir()
    # What the services of `dagster dev` find their code and their history by: arguments, folder and environment.
    told.write_text('#!/bin/sh\necho "dagster $*"; pwd; env | grep ^DAGSTER | sort\n')
    told.chmod(0o755)
    (tmp_path / ".ready").write_text("")
    typed = project.shell(f"PATH={told.parent}:$PATH && dagster dev --port 3005").stdout
    ready = f"-o {tmp_path}/.ready"
    made = project.shell(f"make -s {ready} ui UI_PORT=3005 DAGSTER_HOME={project.dagster_home} VENV={tmp_path}").stdout
    assert typed == made
    assert f"DAGSTER_HOME={project.dagster_home}" in typed
    assert "DAGSTER_MODULE_NAME" not in typed
    assert typed.startswith("dagster dev --port 3005\n")
