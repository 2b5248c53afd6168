"""Projects that tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stablellava_assets_tests.project import Project

SMALL: dict[str, Any] = {
    "rows_per_batch": 12,
    "batches": 3,
    "benchmark": {"items_per_kind": 17},
    "gates": {"min_kept_pairs": 0.3},
    "tuning": {
        "model": {
            "kind": "embedded",
            "vision_widths": [16, 32, 32],
            "vision_depths": [1, 1, 1],
            "text_layers": 1,
            "text_width": 32,
            "base_pictures": 40,
            "base_texts": 40,
            "vision": {"passes": 1, "batch_size": 8},
            "language": {"passes": 1, "batch_size": 8},
            "alignment": {"passes": 1, "batch_size": 8},
        },
        "stage": {"passes": 4, "batch_size": 8},
    },
}
"""The embedded profile, small enough that a whole run takes seconds; its scores mean nothing."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project with a small profile."""
    return Project(tmp_path / "project", SMALL)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose first batch went through the whole graph, by the real command line; not to be changed."""
    project = Project(tmp_path_factory.mktemp("finished"), SMALL)
    project.log = project.shell(
        "dagster asset materialize --select '*' --partition-range 'animal|0001...scene|0001'"
    ).stdout
    return project
