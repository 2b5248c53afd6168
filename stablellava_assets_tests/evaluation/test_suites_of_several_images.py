"""Published benchmarks about several images, in the format in which the Hugging Face hub has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from stablellava_assets.evaluation.answers.answer_rows import plan_answers
from stablellava_assets.evaluation.answers.pictures import held_pictures
from stablellava_assets.evaluation.kinds import ASKED_KINDS
from stablellava_assets.evaluation.scores.scoring import is_correct
from stablellava_assets.evaluation.settings import BenchmarkSettings
from stablellava_assets.evaluation.suites.fingerprints import suite_fingerprints
from stablellava_assets.evaluation.suites.items import SuiteItem
from stablellava_assets.evaluation.suites.pictures import SuiteError
from stablellava_assets.evaluation.suites.suites import read_suites
from stablellava_assets_tests.evaluation.suite_files import write_blink, write_mantis_eval, write_muirbench
from stablellava_assets_tests.tables.made_up import Row
from stablellava_assets_tests.tuning.tiny import picture

CHECKPOINT: Row = {"checkpoint_id": "c", "base_path": "models/base", "path": "models/tuned"}


def read(suite: str, file: Path, **settings: object) -> list[SuiteItem]:
    external = [{"suite": suite, "file": str(file), **settings}]
    return read_suites(BenchmarkSettings.model_validate({"external": external}).external)


def shown(item: SuiteItem) -> list[bytes]:
    return [each.encoded for each in item["pictures"]]


def test_blink(tmp_path: Path) -> None:
    write_blink(tmp_path)
    several, one = read("blink", tmp_path)
    assert (several["ability"], several["question_kind"], several["benchmark"]) == ("Art_Style", "choice", "blink")
    assert several["question"] == (
        "Image 1: <image>\nImage 2: <image>\nImage 3: <image>\n"
        "Some most common art painting styles are shown. Which image shares the style of the first image?\n"
        "Select from the following choices."
    )
    assert (several["options"], several["accepted"]) == (["the second image", "the third image"], ["the third image"])
    assert shown(several) == [picture("red"), picture("blue"), picture("lime")]
    assert one["question"] == "How many squares are there?\nSelect from the following choices."
    assert (one["accepted"], len(one["pictures"])) == (["1"], 1)


def test_muirbench(tmp_path: Path) -> None:
    marked, compared = read("muirbench", write_muirbench(tmp_path))
    assert marked["question"] == "Which color is not in <image> and <image>?"
    assert (marked["accepted"], shown(marked)) == (["lime"], [picture("red"), picture("blue")])
    assert compared["question"] == (
        "Image 1: <image>\nImage 2: <image>\nImage 3: <image>\nWhich of these is like this one? Image 1"
    )
    assert compared["options"] == ["Image 2", "Image 3", "None of the choices provided"]
    assert compared["accepted"] == ["Image 2"]


def test_mantis_eval(tmp_path: Path) -> None:
    choice, short = read("mantis_eval", write_mantis_eval(tmp_path), name="mantis", max_new_tokens=9)
    assert (choice["options"], choice["accepted"], choice["ability"]) == (["blue", "red"], ["red"], "order")
    assert (short["question_kind"], short["accepted"], short["options"]) == ("open", ["1"], [])
    assert (short["benchmark"], short["max_new_tokens"]) == ("mantis", 9)


def test_choices_are_asked_in_every_rotation_with_all_images_and_with_controls(tmp_path: Path) -> None:
    (_, compared), file = read("muirbench", write_muirbench(tmp_path)), tmp_path / "test-00000-of-00001.parquet"
    planned = plan_answers(CHECKPOINT, [compared], held_pictures([compared]), 8, None, controlled=ASKED_KINDS)
    models = [row.inputs.columns["model"] for row in planned]
    assert [models.count(model) for model in ("base", "tuned", "blind", "blanked", "exchanged")] == [3] * 5
    for row in planned:
        columns, asked = row.inputs.columns, row.inputs.asked
        assert len(asked.images) == 3
        letter = "ABC"[(columns["options"] or []).index("Image 2")]
        for said in (letter, "Image 2."):
            assert is_correct(said, columns["accepted"], [], "choice", columns["options"] or [])
    (_, once) = read("muirbench", file, circular=False)
    asked_once = plan_answers(CHECKPOINT, [once], held_pictures([once]), 8, None, controlled=ASKED_KINDS)
    assert [row.inputs.columns["rotation"] for row in asked_once] == [0] * 5


def test_every_image_is_kept_out_of_training(tmp_path: Path) -> None:
    write_mantis_eval(tmp_path)
    external = [{"suite": "mantis_eval", "file": str(tmp_path)}]
    settings = BenchmarkSettings.model_validate({"external": external}).external
    prints = suite_fingerprints(settings, tmp_path / "prints")
    assert len(prints) == 4
    assert len({each.sha256 for each in prints}) == 2
    assert suite_fingerprints(settings, tmp_path / "prints") == prints


def without_bytes(row: dict[str, Any]) -> None:
    row["image_list"][0]["bytes"] = None


def damaged(row: dict[str, Any]) -> None:
    row["image_list"][1]["bytes"] = b"nothing"


def changed(**values: object) -> Callable[[dict[str, Any]], None]:
    return lambda row: row.update(values)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (changed(answer="E"), r"row 1, idx 1: answer: 'E' is none of its options"),
        (changed(options=["red"]), r"row 1, idx 1: options: there are 1 options"),
        (changed(options=["red", "red"]), r"row 1, idx 1: two options are the same, 'red'"),
        (changed(question="<image><image><image>?"), r"row 1, idx 1: question: there are 3 marks <image> and 2 images"),
        (changed(image_list=[]), r"row 1, idx 1: image_list: there is no image"),
        (without_bytes, r"row 1, idx 1: image 1: its bytes are not in the file"),
        (damaged, r"row 1, idx 1: image 2 cannot be decoded"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], complaint: str
) -> None:
    file = write_muirbench(tmp_path)
    table = pq.read_table(file)
    rows = table.to_pylist()
    change(rows[0])
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), file)
    with pytest.raises(SuiteError, match=complaint):
        read("muirbench", file)


def test_another_benchmark_or_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"lacks the columns sub_task, image_1, choices"):
        read("blink", write_muirbench(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SuiteError, match=r"holds no \.parquet files"):
        read("blink", tmp_path / "empty")
    (tmp_path / "text.parquet").write_text("text")
    with pytest.raises(SuiteError, match=r"text\.parquet: cannot be read as Parquet"):
        read("blink", tmp_path / "text.parquet")
