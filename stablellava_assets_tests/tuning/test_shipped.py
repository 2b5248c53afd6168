"""The base that comes with the package is that of the package's own settings, and is taken instead of being trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from click.testing import CliRunner
from safetensors import safe_open

from stablellava_assets.cli.main import main
from stablellava_assets.models.checkpoints import load_checkpoint
from stablellava_assets.models.folders import ModelFolders
from stablellava_assets.profiles.profile import BUILT_IN_PROFILES, load_profile
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tuning.embedded import shipped
from stablellava_assets.tuning.embedded.base import BaseRecipe, prepare_base
from stablellava_assets.tuning.settings import TuningSettings
from stablellava_assets_tests.tuning.tiny import MODEL, SETTINGS

# The whole captions of three images are longer than anything else that is said of so small ones.
_SETTINGS = SETTINGS.model_copy(update={"model": MODEL.model_copy(update={"context": 128})})


def test_the_package_has_the_base_that_unchanged_settings_lead_to() -> None:
    workspace = Workspace(load_profile({}))
    settings = workspace.profile.tuning
    assert isinstance(settings, TuningSettings)
    key = BaseRecipe(settings, workspace.catalog.without_own, workspace.painter).key
    weights = shipped.shipped_weights(key)
    assert weights is not None, (
        f"catalog, painter, settings or recipe changed, and with them the base, which is {key} now: make it anew with "
        "`stablellava base make`"
    )
    assert [path.name for path in shipped.FOLDER.glob("*.safetensors")] == [weights.name]
    assert weights.stat().st_size < 4e6
    with safe_open(weights, "pt") as held:
        assert "CC-BY 4.0" in held.metadata()["licence"]


@pytest.fixture(name="profile")
def _profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    profile = tmp_path / "tiny.yaml"
    document = yaml.safe_load((BUILT_IN_PROFILES / "embedded.yaml").read_text())
    document |= {"tuning": _SETTINGS.model_dump(mode="json"), "painter": {"kind": "embedded", "size": 48, "workers": 1}}
    profile.write_text(yaml.safe_dump(document))
    monkeypatch.setenv("STABLELLAVA_PROFILE", str(profile))
    monkeypatch.setenv("STABLELLAVA_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")
    return profile


def _said(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["base", *arguments], catch_exceptions=False)
    return result.output


def test_a_base_that_fits_is_taken_and_any_other_is_trained(profile: Path, tmp_path: Path) -> None:
    assert "the package has no base" in _said("prove")
    made = _said("make")
    (path,) = (tmp_path / "shipped").iterdir()
    assert str(path) in made
    assert "their weights are the same" in _said("prove")

    workspace = Workspace(load_profile({"STABLELLAVA_PROFILE": str(profile)}))
    lines: list[str] = []
    models = ModelFolders(tmp_path / "project")
    folder = prepare_base(_SETTINGS, workspace.catalog, workspace.painter, models, lines.append)
    assert path.stem == folder.name
    assert lines == ["base model: the one that comes with the package"]
    model, _ = load_checkpoint(folder)
    trained, _ = BaseRecipe(_SETTINGS, workspace.catalog, workspace.painter).trained(lines.append)
    assert shipped.same_weights(model, trained)

    reseeded = _SETTINGS.model_copy(update={"seed": 1})
    other = prepare_base(reseeded, workspace.catalog, workspace.painter, models, lines.append)
    assert "3 of 3" in "".join(lines)
    assert other != folder
    with torch.no_grad():
        next(trained.parameters()).add_(1)
    shipped.write_weights(trained, path.stem.removeprefix("base-"), tmp_path / "shipped")
    assert "their weights are different" in _said("prove")
