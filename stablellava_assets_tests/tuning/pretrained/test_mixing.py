"""Rows of one's own beside the kept pairs: which are drawn, which are refused, and what
the checkpoint's identity covers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stablellava_assets.tuning.pretrained import worker
from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError
from stablellava_assets.tuning.pretrained.jobs import JobFolder
from stablellava_assets.tuning.pretrained.tuning import PretrainedResult, checkpoint_id_of
from stablellava_assets_tests.tuning.pretrained.tunings import in_this_process, settings_for, tuned
from stablellava_assets_tests.tuning.tiny import picture, turns


def test_rows_of_ones_own_are_mixed_in_and_what_cannot_be_used_is_told(base: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(picture("blue"))
    entries = [
        {"id": "1", "image": "a.png", "conversations": turns("<image>\nWhat is it?", "It is blue.", "Is it?", "Yes.")},
        {"id": "2", "image": ["a.png", "b.png"], "conversations": turns("<image> and <image>?", "Blue.")},
        {"id": "3", "conversations": turns("Is it red?", "No.")},
        {"id": "4", "image": "gone.png", "conversations": turns("<image>\nWhat?", "It.")},
        {"id": "5", "image": "a.png", "conversations": turns("<image>\nWhat is it?", "It is blue. " * 20)},
        {"id": "6", "image": "a.png", "conversations": turns("<image>\nWhat is it?", "")},
        {"id": "7", "conversations": [{"from": "gpt", "value": "Hello."}, *turns("Is it red?", "No.")]},
    ]
    own = tmp_path / "own.json"
    own.write_text(json.dumps(entries))
    settings = settings_for(
        base, stage={"epochs": 1, "batch_size": 8}, mix={"conversations": str(own), "images": str(tmp_path)}
    )
    result = tuned(settings, tmp_path / "tuned")
    assert result.rows == 24 + 4
    assert result.rejected == {
        "picture is missing": 1,
        "no conversation in LLaVA's layout": 1,
        "longer than tuning.model.max_length": 1,
    }
    told = [json.loads(line) for line in (result.path / "rejected_rows.jsonl").read_text().splitlines()]
    assert {each["row_id"] for each in told} == {"own.json[3]", "own.json[4]", "own.json[5]"}


def test_a_picture_that_ends_in_the_middle_costs_its_rows_alone(base: Path, tmp_path: Path) -> None:
    Image.effect_noise((96, 96), 64).convert("RGB").save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    for name in ("cut", "short"):
        (tmp_path / f"{name}.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.jpg").write_text("no picture")
    names = ("whole", "cut", "short", "text")
    asked = turns("<image>\nWhat is it?", "It is blue.")
    own = tmp_path / "own.json"
    own.write_text(json.dumps([{"image": f"{name}.jpg", "conversations": asked} for name in names]))
    mix = {"conversations": str(own), "images": str(tmp_path)}
    result = tuned(settings_for(base, stage={"epochs": 1, "batch_size": 4}, mix=mix), tmp_path / "tuned")
    assert result.rows == 24 + 1
    assert result.rejected == {"picture cannot be decoded": 3}


def test_as_many_rows_are_mixed_in_as_the_ratio_asks_for(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.png").write_bytes(picture("blue"))
    kinds: list[Any] = [
        {"image": "a.png", "conversations": turns("<image>\nWhat is it?", "It is blue.")},
        {"image": "a.png", "conversations": turns("<image>\nWhat is it?", "It is blue. " * 20)},
        {"image": "gone.png", "conversations": turns("<image>\nWhat is it?", "It is blue.")},
        "no conversation",
        {"conversations": [{"from": "human", "value": "\ud83d"}, {"from": "gpt", "value": "Yes."}]},
    ]
    own = tmp_path / "own.jsonl"
    own.write_text("\n".join(json.dumps(each) for each in kinds * 8))

    def mixed(ratio: float, name: str, launch: Any = in_this_process) -> PretrainedResult:
        mix = {"conversations": str(own), "images": str(tmp_path), "ratio": ratio}
        settings = settings_for(base, stage={"epochs": 0.1, "batch_size": 8}, mix=mix)
        return tuned(settings, tmp_path / name, launch=launch)

    def killed_in_between(arguments: Sequence[str], job: JobFolder, progress: Callable[[str], None]) -> int:
        worker.main(job.path, prepare_only=True)
        job.usable.unlink()
        return worker.main(job.path)

    some = mixed(0.25, "some")
    assert some.rows == 24 + 6
    assert "tuning.mix.ratio" not in capsys.readouterr().out
    again = mixed(0.25, "again", killed_in_between)
    assert (again.rows, again.rejected, again.loss_curve) == (some.rows, some.rejected, some.loss_curve)
    capsys.readouterr()
    most = mixed(1, "most")
    assert most.rows == 24 + 8
    said = capsys.readouterr().out
    assert "tuning.mix.ratio asks for 24 rows; 8 can be trained on, and the file holds no more" in said
    assert most.rejected == {
        "no conversation in LLaVA's layout": 16,
        "picture is missing": 8,
        "longer than tuning.model.max_length": 8,
    }


def test_the_identity_covers_every_picture_that_ones_own_rows_name(base: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    settings = settings_for(base, mix={"conversations": str(own), "images": str(tmp_path)})
    own.write_text(json.dumps([{"image": "é.png"}, {"image": ["b.png", "c.png"]}, {"image": 1}, "no conversation"]))
    identities = {checkpoint_id_of(["a"], settings)}
    for name in ("é", "b", "c"):
        (tmp_path / f"{name}.png").write_bytes(picture("blue"))
        identities.add(checkpoint_id_of(["a"], settings))
    assert len(identities) == 4


@pytest.mark.parametrize("text", ["{'id': 1}", '[{"id": 1}]\n[{"id": 2}]', '{\n"id": 1\n}'])
def test_a_file_of_neither_layout_is_refused_by_naming_both(text: str, base: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    own.write_text(text)
    settings = settings_for(base, mix={"conversations": str(own), "images": str(tmp_path)})
    with pytest.raises(PretrainedTuningError, match=r"own\.json cannot be read as a JSON array .* or as one a line: "):
        checkpoint_id_of(["a"], settings)
