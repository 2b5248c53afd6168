"""Checkpoints by their name on the hub, from a cache as the hub's client leaves it; nothing is fetched."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import huggingface_hub
import pytest
import transformers
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

from stablellava_assets.evaluation.answers.generation import ImageQuestion, answer
from stablellava_assets.inputs.yaml_documents import Document
from stablellava_assets.models.folders import ModelFolders
from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError
from stablellava_assets.tuning.pretrained.model import checkpoint_name, load_processor
from stablellava_assets.tuning.pretrained.settings import (
    LoraSettings,
    MachineSettings,
    MixSettings,
    PhaseSettings,
    PretrainedModelSettings,
    PretrainedTuningSettings,
    ProjectorAlignmentSettings,
)
from stablellava_assets_tests.fakes.tuning_checkpoints import save_llava
from stablellava_assets_tests.tuning.tiny import picture

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def settings_for(name: str) -> PretrainedTuningSettings:
    return PretrainedTuningSettings(model=PretrainedModelSettings(kind="pretrained", model=name, revision=COMMIT))


@pytest.fixture(name="cache")
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def test_a_base_on_the_hub_answers_under_its_name_and_revision(cache: Path) -> None:
    save_llava(cache / "models--tiny--llava/snapshots" / COMMIT)
    named = checkpoint_name(settings_for("tiny/llava"))
    assert named == f"tiny/llava@{COMMIT}"
    models = ModelFolders(cache / "data")
    assert models.exists(named)
    assert len(answer(models.path_of(named), [ImageQuestion(picture("red"), "What is it?")], 1, 2, print)) == 1


def test_a_checkpoint_that_cannot_be_had_is_told_with_what_to_do(cache: Path) -> None:
    with pytest.raises(PretrainedTuningError, match=r"is not on this machine.*hf download nobody/nothing"):
        load_processor(settings_for("nobody/nothing"))


@pytest.mark.parametrize(
    ("error", "said"), [(GatedRepoError, "is gated: accept its licence"), (RepositoryNotFoundError, "the hub has no")]
)
def test_what_the_hub_refuses_is_told_with_what_to_do(
    error: type[RepositoryNotFoundError], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no") from error("no", response=Mock())

    monkeypatch.setattr(transformers.AutoProcessor, "from_pretrained", refuse)
    with pytest.raises(PretrainedTuningError, match=said):
        load_processor(settings_for("meta/secret"))


@pytest.mark.parametrize("installed", [False, True])
def test_a_torchvision_that_is_missing_or_of_another_build_is_told(
    installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        if not installed:
            raise ImportError("Qwen2VLVideoProcessor requires the Torchvision library but it was not found")
        raise ModuleNotFoundError("Could not import module 'AutoProcessor'.") from RuntimeError(
            "operator torchvision::nms does not exist"
        )

    monkeypatch.setattr(transformers.AutoProcessor, "from_pretrained", refuse)
    with pytest.raises(
        PretrainedTuningError, match=r"torchvision in the build that torch has.*stablellava-assets\[video\]"
    ):
        load_processor(settings_for("qwen/vl"))


def test_every_setting_is_described() -> None:
    kinds: tuple[type[Document], ...] = (
        LoraSettings,
        PretrainedModelSettings,
        PhaseSettings,
        ProjectorAlignmentSettings,
        MixSettings,
        MachineSettings,
        PretrainedTuningSettings,
    )
    for kind in kinds:
        missing = [name for name, field in kind.model_fields.items() if not field.description]
        assert [name for name in missing if name != "kind"] == []
