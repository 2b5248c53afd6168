"""Tuning a tiny model from a folder to a folder."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from stablellava_assets.evaluation.answers.generation import ImageQuestion, answer
from stablellava_assets.models.checkpoints import save_checkpoint
from stablellava_assets.tuning.batches import batches, shifted
from stablellava_assets.tuning.embedded import frozen_tower, training
from stablellava_assets.tuning.embedded.training import TrainingExample, tune
from stablellava_assets.tuning.packing import PackedRows
from stablellava_assets_tests.tuning.tiny import COLORS, SETTINGS, examples, model_and_processor, picture, turns

_KILLED = """
import os, pathlib, signal, sys
from stablellava_assets.tuning.embedded import saved_state
from stablellava_assets.tuning.embedded.training import tune
from stablellava_assets_tests.tuning.tiny import SETTINGS, examples

class Killed(saved_state.SavedState):
    def save(self, step, optimizer, report):
        super().save(step, optimizer, report)
        if step == 7:
            os.kill(os.getpid(), signal.SIGKILL)

saved_state._SECONDS_BETWEEN_SAVES = 0.0
import stablellava_assets.tuning.embedded.training as training
training.SavedState = Killed
tune(pathlib.Path(sys.argv[1]), examples(), SETTINGS, pathlib.Path(sys.argv[2]), print)
"""


@pytest.fixture(name="base")
def _base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    save_checkpoint(*model_and_processor(), folder)
    return folder


def test_a_tuned_model_answers_through_the_auto_classes(base: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    long_enough = SETTINGS.model_copy(update={"stage": SETTINGS.stage.model_copy(update={"passes": 240})})
    result = tune(base, examples(), long_enough, tmp_path / "tuned", lines.append)
    asked = [ImageQuestion(picture(color), "What color is it?") for color in COLORS]
    said = answer(result.path, asked, batch_size=3, max_new_tokens=8, progress=lines.append)
    assert said == [f"It is {color}." for color in COLORS]
    assert (result.pictures, result.rows) == (4, 8)
    assert result.loss_curve[-1][1] < 0.2 * result.loss_curve[0][1]
    assert result.loss_curve[-1][0] == 240
    assert "step 240 of 240" in lines[-1]


def test_the_same_examples_give_the_same_weights(base: Path, tmp_path: Path) -> None:
    weights = []
    for name in ("first", "second"):
        path = tune(base, examples(), SETTINGS, tmp_path / name, lambda line: None).path
        weights.append(load_file(path / "model.safetensors"))
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_killed_tuning_goes_on_to_the_same_weights(base: Path, tmp_path: Path) -> None:
    whole = tune(base, examples(), SETTINGS, tmp_path / "whole", lambda line: None)
    code = [sys.executable, "-c", _KILLED, str(base), str(tmp_path / "killed")]
    assert subprocess.run(code, check=False).returncode == -signal.SIGKILL
    assert (tmp_path / "killed.state").exists()
    lines: list[str] = []
    result = tune(base, examples(), SETTINGS, tmp_path / "killed", lines.append)
    assert "going on after step 7 of 20" in lines
    assert result.loss_curve == whole.loss_curve
    ours, theirs = (load_file(path / "model.safetensors") for path in (result.path, whole.path))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not (tmp_path / "killed.state").exists()


def test_threads_change_the_time_and_not_the_mathematics(base: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    curves = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            curves.append(tune(base, examples(), SETTINGS, tmp_path / str(count), lambda line: None).loss_curve)
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert curves[0][0][1] == pytest.approx(curves[1][0][1], rel=1e-2)


@pytest.mark.parametrize("tower_rate", [0.0, 0.2])
def test_the_tower_moves_as_much_as_its_rate_says(base: Path, tmp_path: Path, tower_rate: float) -> None:
    def moved(rate: float) -> dict[bool, float]:
        settings = SETTINGS.model_copy(update={"stage": SETTINGS.stage.model_copy(update={"tower_rate": rate})})
        tuned = load_file(tune(base, examples(), settings, tmp_path / str(rate), print).path / "model.safetensors")
        start = load_file(base / "model.safetensors")
        change = {name: (tuned[name] - start[name]).norm().item() for name in start}
        return {
            tower: sum(by for name, by in change.items() if ("vision_tower" in name) is tower)
            for tower in (False, True)
        }

    whole, part = moved(1.0), moved(tower_rate)
    assert part[True] == pytest.approx(tower_rate * whole[True], rel=0.5)
    assert part[False] == pytest.approx(whole[False], rel=0.5)


def test_a_tower_that_is_not_trained_sees_every_image_once_and_nothing_else_changes(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = [
        TrainingExample(["red", "blue"], [picture("red"), picture("blue")], turns("<image><image>What color?", "Red.")),
        *examples(),
    ]
    stage = SETTINGS.stage.model_copy(update={"tower_rate": 0.0, "shift": 0})
    settings = SETTINGS.model_copy(update={"stage": stage})
    seen: list[int] = []

    def counted(*given: Any) -> torch.Tensor:
        outputs = frozen_tower.seen_by_tower(*given)
        seen.append(len(outputs))
        return outputs

    monkeypatch.setattr(training, "seen_by_tower", counted)
    once = load_file(tune(base, several, settings, tmp_path / "once", print).path / "model.safetensors")
    assert seen == [len(COLORS)]
    monkeypatch.setattr(training, "is_frozen", lambda stage: False)
    again = load_file(tune(base, several, settings, tmp_path / "again", print).path / "model.safetensors")
    start = load_file(base / "model.safetensors")
    assert seen == [len(COLORS)]
    assert all(torch.equal(start[name], once[name]) for name in start if "vision_tower" in name)
    for name, weight in once.items():
        torch.testing.assert_close(weight, again[name], rtol=1e-2, atol=1e-2)


def test_a_checkpoint_is_never_overwritten(base: Path) -> None:
    with pytest.raises(FileExistsError, match="never overwritten"):
        tune(base, examples(), SETTINGS, base, lambda line: None)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ([], "no examples"),
        ([TrainingExample(["p7"], [b"no picture"], turns("<image>\nWhat?", "Red."))], "picture p7 cannot be decoded"),
        ([TrainingExample(["p8"], [picture("red")], turns("What?", "Red."))], "picture p8 .*the turns hold"),
        ([TrainingExample(["p9"], [picture("red")], turns("<image>\nWhat?", "Red " * 99))], "p9 .*context holds 96"),
    ],
)
def test_an_unusable_example_is_named_and_nothing_is_left(
    bad: list[TrainingExample], reason: str, base: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=reason):
        tune(base, bad, SETTINGS, tmp_path / "tuned", lambda line: None)
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_every_pass_sees_every_pack_once_in_its_own_order() -> None:
    packs = [PackedRows([1] * (5 + index % 3), [-100] * 4 + [1] * (1 + index % 3), [], []) for index in range(24)]
    seen = [at for batch in batches(packs, 6, 8, shift=1, seed=3) for at in batch.packs.tolist()]
    assert sorted(seen[:24]) == sorted(seen[24:]) == list(range(24))
    assert seen[:24] != seen[24:]


def test_a_shift_moves_the_picture_and_repeats_its_edge() -> None:
    pixels = torch.arange(16.0).reshape(1, 1, 4, 4).expand(1, 3, 4, 4)
    assert torch.equal(shifted(pixels, 1, torch.tensor([[1, 1]])), pixels)
    down = shifted(pixels, 1, torch.tensor([[0, 1]]))
    assert torch.equal(down[0, 0, 1:], pixels[0, 0, :3])
    assert torch.equal(down[0, 0, 0], pixels[0, 0, 0])
