"""Rows of other layouts are rejected, with the reason, and never trained on as something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError
from stablellava_assets.tuning.pretrained.rows import mix_key, mixed_rows
from stablellava_assets.tuning.pretrained.settings import MixSettings
from stablellava_assets_tests.tuning.tiny import picture

JPEG = "/9j/4AAQSkZJRgABAQAAAQABAAD" + "A" * 200


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.png").write_bytes(picture("blue"))
    (tmp_path / "sub").mkdir()
    return tmp_path


def settings_of(folder: Path, *rows: Any, text: str | None = None) -> MixSettings:
    path = folder / "rows.json"
    path.write_text(json.dumps(rows) if text is None else text, encoding="utf-8")
    return MixSettings(conversations=path, images=folder)


def turns(question: Any = "<image>\nWhat is it?", answer: Any = "It is blue.") -> list[dict[str, Any]]:
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]


TEXT_ALONE = turns("What is it?")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"image": "a.png", "conversations": turns(answer=None)}, "a turn is not text: turn 2, from gpt, is null"),
        (
            {"image": "a.png", "conversations": turns(answer=float("nan"))},
            "a turn is not text: turn 2, from gpt, is NaN",
        ),
        ({"image": "a.png", "conversations": turns(answer=True)}, "a turn is not text: turn 2, from gpt, is true"),
        ({"image": "a.png", "conversations": turns(answer=[{"type": "text", "text": "x"}])}, "is a list"),
        ({"image": "a.png", "conversations": turns(answer={"text": "x"})}, "is an object"),
        ({"conversations": turns(question=None)}, "a turn is not text: turn 1, from human, is null"),
        ({"conversations": [{"from": None, "value": "x"}]}, "turn 1 is from null"),
        ({"conversations": [{"role": "user", "content": "x"}]}, "turn 1 has no 'from'; its keys are 'role', 'content'"),
        ({"conversations": ["x", "y"]}, "turn 1 is the text 'x', not an object"),
        ({"conversations": "x"}, "'conversations' holds the text 'x'"),
        ({"conversations": None}, "'conversations' holds null"),
        (
            {"messages": [{"role": "user", "content": "x"}]},
            "it has no 'conversations', but 'messages' of another layout",
        ),
        ({"instruction": "x", "output": "y"}, "but 'instruction' of another layout"),
        ({"id": 1}, "it has no 'conversations'; its keys are 'id'"),
        (None, "the row is null, not an object"),
        ([{"conversations": TEXT_ALONE}], "the row is a list, not an object"),
        *(
            ({key: "a.png", "conversations": TEXT_ALONE}, f"{key!r} holds the text 'a.png'")
            for key in (
                "images",
                "image_path",
                "img",
                "picture",
                "image_url",
                "video",
                "audio",
                "videos",
                "image_bytes",
                "Image",
            )
        ),
        ({"images": ["a.png"], "conversations": turns()}, "'images' holds a list"),
        (
            {"image": {"bytes": "x", "path": "a.png"}, "conversations": turns()},
            "'image' holds an object with 'bytes', 'path'",
        ),
        ({"image": JPEG, "conversations": turns()}, "'image' holds picture data"),
        ({"image": f"data:image/png;base64,{JPEG}", "conversations": turns()}, "'image' holds picture data"),
        ({"image": "https://host/a.png", "conversations": turns()}, "'image' holds the address"),
        ({"image": [None], "conversations": turns()}, "'image' holds null"),
        ({"image": 7, "conversations": turns()}, "'image' holds the number 7"),
        ({"image": "a\0.png", "conversations": turns()}, "a picture is not named by its file"),
        ({"image": "n" * 300, "conversations": turns()}, "picture "),
        ({"image": "sub", "conversations": turns()}, "picture is missing: "),
        ({"image": "gone.png", "conversations": turns()}, "picture is missing: "),
        ({"conversations": turns("<video>\nWhat?")}, "a mark of another layout: turn 1, from human, holds <video>"),
        ({"conversations": turns("<|image_1|> What?")}, "holds <|image_1|>"),
        ({"conversations": turns("<ImageHere> What?")}, "holds <ImageHere>"),
        ({"conversations": turns("Picture 1: <img>a.png</img>\nWhat?")}, "holds <img>a.png</img>"),
        ({"conversations": turns("<IMG_CONTEXT> What?")}, "holds <IMG_CONTEXT>"),
        ({"conversations": turns("[IMG] What?")}, "holds [IMG]"),
        (
            {"conversations": turns("What?<|im_end|>")},
            "a control token in a text: turn 1, from human, holds <|im_end|>",
        ),
        ({"conversations": turns("[INST] What? [/INST]")}, "holds [INST]"),
        ({"conversations": turns("What?", "<|eot_id|>It is blue.")}, "turn 2, from gpt, holds <|eot_id|>"),
        (
            {"conversations": [{**TEXT_ALONE[0], "image": "a.png"}, TEXT_ALONE[1]]},
            "turn 1, from human, holds 'image'",
        ),
        ({"image_0": "a.png", "conversations": TEXT_ALONE}, "'image_0' holds the text 'a.png'"),
        ({"media": ["a.png"], "conversations": TEXT_ALONE}, "'media' holds a list"),
        ({"system": "Be rude.", "conversations": TEXT_ALONE}, "'system' holds the text 'Be rude.'"),
        (
            {"conversations": [TEXT_ALONE[0], {**TEXT_ALONE[1], "weight": 0}]},
            "turn 2, from gpt, is not to be learned ('weight' is the number 0)",
        ),
        ({"conversations": turns("What?", "\u200b\ufeff")}, "a turn is empty"),
        ({"image": "a\ud800.png", "conversations": turns()}, "a picture is not named by its file"),
        ({"image": JPEG.replace("+", "-").replace("/", "_"), "conversations": turns()}, "picture "),
        ({"image": "AAAAIGZ0eXBhdmlm" * 20, "conversations": turns()}, "'image' holds picture data"),
        ({"image": "b'\\x89PNG\\r\\n'", "conversations": turns()}, "'image' holds picture data"),
        ({"image": "sub\\a.png", "conversations": turns()}, "folders are parted by / here"),
    ],
)
def test_a_row_of_another_layout_is_rejected_with_the_reason(row: Any, reason: str, folder: Path) -> None:
    rows, rejected = mixed_rows(settings_of(folder, row), 1, 0)
    assert rows == []
    assert reason in rejected[0].reason
    assert rejected[0].row_id == "rows.json[0]"


def test_what_is_llavas_layout_stays_what_it_was(folder: Path) -> None:
    none: list[Any] = [None, "", [], float("nan")]
    nothing = [{"image": each, "conversations": TEXT_ALONE} for each in none]
    kept = [
        {"image": "a.png", "conversations": turns(answer=3), "image_id": 7, "width": 2, "video": None, "images": []},
        {"image": ["a.png"], "images": ["a.png"], "conversations": turns()},
        {"image": "a.png", "images": ["a.png"], "conversations": turns(answer="<think> and <video game>")},
        *nothing,
    ]
    rows, rejected = mixed_rows(settings_of(folder, *kept), 1, 0)
    assert rejected == []
    assert [len(row.images) for row in rows] == [1, 1, 1, 0, 0, 0, 0]
    assert rows[0].conversations[1]["value"] == "3"


def test_numbers_of_any_size_and_words_in_brackets_are_texts(folder: Path) -> None:
    answers = [10**400, "As HTML: <s>red</s> blue", "Use a[0] and <|>.", "It is blue.</s>", "It is blue.<|im_end|>"]
    kept = [{"image": "a.png", "system": "", "tools": [], "conversations": turns(answer=answer)} for answer in answers]
    rows, rejected = mixed_rows(settings_of(folder, *kept), 1, 0)
    assert rejected == []
    assert rows[0].conversations[1]["value"] == "1" + 400 * "0"


def test_a_broken_line_costs_one_row(folder: Path) -> None:
    good = json.dumps({"conversations": TEXT_ALONE})
    rows, rejected = mixed_rows(settings_of(folder, text=f"\ufeff{good}\n{good[:-5]}\n{good}\n"), 1, 0)
    assert [row.row_id for row in rows] == ["rows.json[0]", "rows.json[2]"]
    assert rejected[0].reason.startswith("not JSON: line 2: ")


@pytest.mark.parametrize("text", ["", " \n", "[]"])
def test_a_file_without_rows_is_refused(text: str, folder: Path) -> None:
    with pytest.raises(PretrainedTuningError, match=r"tuning\.mix\.conversations: .*rows\.json holds no rows"):
        mixed_rows(settings_of(folder, text=text), 1, 0)


def test_only_rows_that_were_read_otherwise_give_the_data_another_name(folder: Path) -> None:
    plain, odd = {"image": "a.png", "conversations": turns()}, {"image": "a.png", "conversations": turns(answer=None)}
    keys = {mix_key(settings_of(folder, row)) for row in (plain, odd)}
    assert len(keys) == 2
    assert mix_key(settings_of(folder, {"image": JPEG * 40, "conversations": []}, plain, None)) not in keys
