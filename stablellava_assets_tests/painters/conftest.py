"""Tiny checkpoints, saved once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from stablellava_assets_tests.fakes.tiny_sdxl import save_sd, save_sdxl


@pytest.fixture(scope="session")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of SDXL's architecture; not to be changed."""
    return save_sdxl(tmp_path_factory.mktemp("checkpoints") / "tiny-sdxl")


@pytest.fixture(scope="session")
def sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of Stable Diffusion 1.5's architecture with a safety checker that objects to everything."""
    return save_sd(tmp_path_factory.mktemp("checkpoints") / "tiny-sd")
