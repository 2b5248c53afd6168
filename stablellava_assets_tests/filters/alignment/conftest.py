"""The checkpoint that these tests ask."""

from __future__ import annotations

import pytest

from stablellava_assets.filters.alignment.models import OwnCheckpoint
from stablellava_assets_tests.filters.alignment.tiny_scorers import own_checkpoint


@pytest.fixture(scope="package")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> OwnCheckpoint:
    """Tuned once for all."""
    return own_checkpoint(tmp_path_factory.mktemp("own"))
