"""What is wrong with a checkpoint is said before the first row; what is right with it is known again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.inputs.yaml_documents import DocumentError
from stablellava_assets.painters.base import PainterError
from stablellava_assets.painters.diffusion.checkpoint import load_pipeline
from stablellava_assets.painters.settings import DiffusionPainterSettings
from stablellava_assets.profiles.profile import load_profile
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets_tests.fakes.serving import Handler, Server, serving
from stablellava_assets_tests.fakes.tiny_sdxl import assemble_sdxl, save_sdxl
from stablellava_assets_tests.painters.checkpoints import painted_by, painter_of
from stablellava_assets_tests.painters.specs import spec
from stablellava_assets_tests.project import ROOT
from stablellava_assets_tests.tables.made_up import but


@pytest.fixture
def copied(sdxl: Path, tmp_path: Path) -> Path:
    """A checkpoint that may be changed."""
    return Path(shutil.copytree(sdxl, tmp_path / "copied"))


def refusal(folder: Path | str, **changes: Any) -> str:
    """What a painter says before it has painted anything."""
    with pytest.raises(PainterError) as raised:
        painted_by(painter_of(Path(folder), **changes), spec("koala"))
    return str(raised.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert f"painter.model: there is no folder {tmp_path / 'gone'}" in refusal(tmp_path / "gone")


def test_a_folder_without_a_pipeline(tmp_path: Path) -> None:
    assert "holds no model_index.json" in refusal(tmp_path)


def test_weights_that_were_cut_off(copied: Path) -> None:
    weights = copied / "unet/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    said = refusal(copied)
    assert "painter.model: copied@" in said
    assert "cannot be loaded" in said
    assert "fetch the checkpoint again" in said


def test_weights_that_are_missing(copied: Path) -> None:
    (copied / "vae/diffusion_pytorch_model.safetensors").unlink()
    assert "cannot be loaded" in refusal(copied)


def test_a_configuration_that_is_no_json(copied: Path) -> None:
    (copied / "unet/config.json").write_text("{")
    assert "fetch the checkpoint again" in refusal(copied)


def test_a_gpu_that_is_not_there(sdxl: Path) -> None:
    import torch

    missing = "mps" if torch.cuda.is_available() else "cuda"
    assert f"painter.device is {missing}, and torch" in refusal(sdxl, device=missing)


def test_painting_on_the_processor_for_want_of_a_gpu_is_said(sdxl: Path, caplog: pytest.LogCaptureFixture) -> None:
    import torch

    painted_by(painter_of(sdxl, device="auto"), spec("koala"))
    told = [message for message in caplog.messages if "finds no GPU (painter.device is auto)" in message]
    assert len(told) == (0 if torch.cuda.is_available() or torch.backends.mps.is_available() else 1)
    caplog.clear()
    painted_by(painter_of(sdxl, device="cpu"), spec("koala"))
    assert not [message for message in caplog.messages if "finds no GPU" in message], "who asks for it need not be told"


def test_a_scheduler_that_does_not_fit(copied: Path) -> None:
    from diffusers import FlowMatchEulerDiscreteScheduler

    FlowMatchEulerDiscreteScheduler().save_pretrained(copied / "scheduler")
    index = json.loads((copied / "model_index.json").read_text())
    index["scheduler"] = ["diffusers", "FlowMatchEulerDiscreteScheduler"]
    (copied / "model_index.json").write_text(json.dumps(index))
    assert "painter.scheduler: unipc does not fit copied@" in refusal(copied, scheduler="unipc")


ANSWERS = {"gated-model": (403, "GatedRepo"), "absent-model": (404, "RepoNotFound")}
"""Status and code that the hub of these tests answers requests about a repository with."""


class _Hub(Handler):
    def do_GET(self) -> None:
        status, code = next(answer for name, answer in ANSWERS.items() if name in self.path)
        self.send(status, b"", {"X-Error-Code": code, "X-Error-Message": "scripted"})

    do_HEAD = do_GET


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What painters say whose hub refuses two models, and then cannot be reached.

    One process asks, since its client reads the hub's address as it is imported; it does not wait between its tries.
    """
    code = (
        "import json, sys, time; time.sleep = lambda seconds: None; "
        f"from {__name__} import refusal; "
        "print('said:', json.dumps(refusal(f'maker/{sys.argv[1]}')), flush=True); "
        "print('said:', json.dumps(refusal(f'maker/{sys.argv[2]}')), flush=True); sys.stdin.readline(); "
        "print('said:', json.dumps(refusal('maker/other-model')))"
    )
    with serving(Server(_Hub)) as address:
        environment = {
            **os.environ,
            "HF_ENDPOINT": address,
            "HF_HOME": str(tmp_path_factory.mktemp("hub")),
            "NO_PROXY": "127.0.0.1",
        }
        asking = subprocess.Popen(
            [sys.executable, "-c", code, *ANSWERS],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert asking.stdout is not None
        said = list(islice(asking.stdout, 2))
    rest, _ = asking.communicate("\n")
    assert asking.returncode == 0
    told = [json.loads(line.removeprefix("said: ")) for line in [*said, rest]]
    return dict(zip([*ANSWERS, "other-model"], told, strict=True))


@pytest.mark.slow
def test_a_gated_repository(refused: dict[str, str]) -> None:
    said = refused["gated-model"]
    assert "painter.model: maker/gated-model is gated: accept its licence" in said
    assert "HF_TOKEN" in said


@pytest.mark.slow
def test_a_name_that_the_hub_does_not_have(refused: dict[str, str]) -> None:
    assert "the hub has no maker/absent-model" in refused["absent-model"]


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached(refused: dict[str, str]) -> None:
    said = refused["other-model"]
    assert "maker/other-model is not on this machine and the hub cannot be reached" in said
    assert "hf download maker/other-model" in said


def test_a_key_covers_what_shapes_the_picture_and_nothing_else(sdxl: Path, tmp_path: Path) -> None:
    def key(folder: Path = sdxl, prompt: str = "koala", seed: int = 1, negative: str = "", **changes: Any) -> str:
        painter = painter_of(folder, **changes)
        (planned,) = painter.plan([but(spec(prompt, seed), spec_id="the id", negative_prompt=negative)])
        return planned.row_key

    same = {
        key(),
        key(batch_size=2),
        key(retries=5),
        key(compile=True),
        key(Path(shutil.copytree(sdxl, tmp_path / "elsewhere"))),
    }
    other = [
        key(steps=4),
        key(guidance=2),
        key(scheduler="ddim"),
        key(dtype="bfloat16"),
        key(width=128),
        key(emphasis=1.2),
        key(negative_prompt="text"),
        key(prompt="fox"),
        key(seed=2),
        key(negative="text", seed=3),
        key(save_sdxl(tmp_path / "another-training", seed=1)),
    ]
    assert len(same) == 1
    assert len({*same, *other}) == 1 + len(other)


@pytest.mark.parametrize(
    ("settings", "mistake"),
    [
        ("offload: true, device: cpu", "painter.offload: moves parts between processor and GPU"),
        ("dtype: float16, device: cpu", "painter.dtype: a processor paints in float32"),
        ("width: 100", "painter.width: Input should be a multiple of 8"),
        ("scheduler: dpm", "painter.scheduler: Input should be"),
        ("stepps: 3", "painter.stepps: is not a known setting"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_line(tmp_path: Path, settings: str, mistake: str) -> None:
    text = (ROOT / "stablellava_assets/profiles/embedded.yaml").read_text()
    painter = f"painter: {{kind: diffusion, model: some/model, {settings}}}\n"
    profile = tmp_path / "profile.yaml"
    profile.write_text(
        text.replace(
            "painter:\n  kind: embedded           # composes scenes of Twemoji artwork\n  size: 144\n", painter
        )
    )
    assert painter in profile.read_text()
    with pytest.raises(DocumentError, match=mistake):
        load_profile({"STABLELLAVA_PROFILE": str(profile)})


def test_a_profile_chooses_the_painter(tmp_path: Path, sdxl: Path) -> None:
    text = (ROOT / "stablellava_assets/profiles/embedded.yaml").read_text()
    profile = tmp_path / "profile.yaml"
    profile.write_text(
        text.replace(
            "kind: embedded           # composes scenes of Twemoji artwork\n  size: 144",
            f"kind: diffusion\n  model: {sdxl}",
        )
    )
    painter = Workspace(load_profile({"STABLELLAVA_PROFILE": str(profile)})).painter
    assert painter.name == "diffusion"
    (planned,) = painter.plan([spec("koala")])
    assert planned.row_id


@pytest.mark.parametrize(
    ("saved", "asked", "told"),
    [
        ("fp16", None, "its weights are of the variant fp16 alone; set painter.variant: fp16"),
        (None, "fp16", "the folder has no variant 'fp16'; leave painter.variant out"),
        ("fp16", "bf16", "its weights are of the variant fp16 alone; set painter.variant: fp16"),
    ],
)
def test_a_variant_that_is_not_there_names_the_one_that_is(
    saved: str | None, asked: str | None, told: str, tmp_path: Path
) -> None:
    assemble_sdxl().save_pretrained(tmp_path / "model", variant=saved)
    settings = DiffusionPainterSettings(kind="diffusion", model=str(tmp_path / "model"), variant=asked, device="cpu")
    with pytest.raises(PainterError, match=re.escape(told)):
        load_pipeline(settings)
