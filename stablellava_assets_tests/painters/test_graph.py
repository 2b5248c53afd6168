"""The whole graph on pictures that a model painted, by the real command line."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from stablellava_assets.tables.schemas import ABILITY_BENCHMARK, ABILITY_SCORES, FILTERED_PAIRS, IMAGES
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.fakes.image_server import image_server
from stablellava_assets_tests.fakes.tiny_sdxl import SIZE
from stablellava_assets_tests.painters.test_provenance import IPTC, properties
from stablellava_assets_tests.project import Project

FEW = {
    **SMALL,
    "only": ["animal"],
    "rows_per_batch": 6,
    "gates": {"min_kept_pairs": 0, "min_subject_entropy": 0, "min_made_images": 0.5},
}
"""One ability; pictures of random weights look alike, and are rejected for it."""


def rows(project: Project, table: Any) -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = project.workspace.store.read_all(table).to_pylist()
    return read


@pytest.mark.slow
def test_the_whole_graph_on_a_diffusion_checkpoint(tmp_path: Path, sdxl: Path) -> None:
    painter = {"kind": "diffusion", "model": str(sdxl), "width": SIZE, "height": SIZE, "steps": 1, "device": "cpu"}
    project = Project(tmp_path / "project", FEW)
    _paint_with(project, painter)
    shown = project.materialize("--select '*' --partition 'animal|0001'").stdout
    images = rows(project, IMAGES)
    assert [row["status"] for row in images] == ["made"] * 6
    assert {row["painter"] for row in images} == {"diffusion"}
    assert len(rows(project, ABILITY_BENCHMARK)) == 51
    assert {row["model"] for row in rows(project, ABILITY_SCORES)} == {"base", "tuned", "blind", "swapped"}
    for row in images:
        picture = Image.open(io.BytesIO(row["image"]["bytes"]))
        assert picture.size == (SIZE, SIZE)
        said = properties(row["image"]["bytes"])
        assert said[f"{IPTC}DigitalSourceType"].endswith("/trainedAlgorithmicMedia")
        assert said["{http://purl.org/dc/elements/1.1/}identifier"] == row["spec_id"]
    assert "animal|0001: published: 6 rows, 0 reused, 0 resumed, 6 computed, 0 failed" in shown
    again = project.materialize("--select images --partition 'animal|0001'").stdout
    assert "animal|0001: unchanged: 6 rows, 6 reused" in again


@pytest.mark.slow
def test_pictures_of_an_endpoint_become_pairs(tmp_path: Path) -> None:
    with image_server() as (url, seen):
        project = Project(tmp_path / "project", FEW)
        endpoint = {"base_url": url, "model": "painter-1", "api_key_variable": None}
        _paint_with(project, {"kind": "api", "endpoint": endpoint, "width": SIZE, "height": SIZE})
        select = "prompt_specs,images,dialogues,ability_benchmark,filtered_pairs"
        project.materialize(f"--select {select} --partition 'animal|0001'")
    assert {(row["painter"], row["status"]) for row in rows(project, IMAGES)} == {("api", "made")}
    assert len(rows(project, FILTERED_PAIRS)) > 0
    assert len(seen.bodies) == 6 + 51
    assert (tmp_path / "project/data/image_ledger.sqlite").exists()


def _paint_with(project: Project, painter: dict[str, Any]) -> None:
    """Put another painter into the project's profile."""
    profile = yaml.safe_load(project.profile_path.read_text())
    profile["painter"] = painter
    project.profile_path.write_text(yaml.safe_dump(profile))
