"""The tiny checkpoint that is tuned, and a tuning of it that nothing disturbed."""

from __future__ import annotations

from pathlib import Path

import pytest

from stablellava_assets.tuning.pretrained.tuning import PretrainedResult
from stablellava_assets_tests.fakes.tuning_checkpoints import save_llava
from stablellava_assets_tests.tuning.pretrained.tunings import settings_for, tuned


@pytest.fixture(name="base", scope="session")
def _base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llava(tmp_path_factory.mktemp("base") / "llava")


@pytest.fixture(name="undisturbed", scope="session")
def _undisturbed(base: Path, tmp_path_factory: pytest.TempPathFactory) -> PretrainedResult:
    return tuned(settings_for(base), tmp_path_factory.mktemp("undisturbed") / "tuned")
