"""The released files to test on: the published ones where the environment names their folder, else invented ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stablellava_assets_tests.authors.released_folder import EXPECTED, PUBLISHED, write_released

Counts = dict[str, dict[str, int]]


@pytest.fixture
def invented(tmp_path: Path) -> Path:
    """A folder of invented files."""
    folder = tmp_path / "invented"
    folder.mkdir()
    write_released(folder)
    return folder


@pytest.fixture
def released(invented: Path) -> tuple[Path, Counts]:
    """A folder of released files and what is to be counted in it; ``STABLELLAVA_RELEASED`` names the published ones."""
    published = os.environ.get("STABLELLAVA_RELEASED")
    return (Path(published), PUBLISHED) if published else (invented, EXPECTED)
