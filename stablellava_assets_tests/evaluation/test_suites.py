"""Published benchmarks' files, in the format in which they are downloaded."""

from __future__ import annotations

import base64
import json
import textwrap
from pathlib import Path

import pytest

from stablellava_assets.evaluation.settings import BenchmarkSettings
from stablellava_assets.evaluation.suites.mmbench import read_mmbench
from stablellava_assets.evaluation.suites.mmvet import read_mmvet
from stablellava_assets.evaluation.suites.pictures import Pictures, SuiteError
from stablellava_assets.evaluation.suites.pope import read_pope
from stablellava_assets.evaluation.suites.suites import read_suites
from stablellava_assets.inputs.yaml_documents import DocumentError, load_document
from stablellava_assets_tests.evaluation.suite_files import damaged_pictures, write_mmbench, write_mmvet, write_pope
from stablellava_assets_tests.tuning.tiny import picture


def _break(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_pope(tmp_path: Path) -> None:
    file, images = write_pope(tmp_path)
    items = read_pope(file, images, "pope")
    assert [(item["ability"], item["accepted"], item["refused"]) for item in items] == [
        ("random", ["yes"], ["no"]),
        ("random", ["no"], ["yes"]),
    ]
    assert items[0]["question"] == "Is there a red thing in the image?"
    assert items[0]["pictures"][0].encoded == (images / "red.png").read_bytes()
    told = read_pope(file, images, "pope", "Answer with one word.")
    assert told[0]["question"] == "Is there a red thing in the image?\nAnswer with one word."
    assert told[0]["row_key"] != items[0]["row_key"]


def test_mmbench(tmp_path: Path) -> None:
    items = read_mmbench(write_mmbench(tmp_path), "mmbench")
    assert [item["ability"] for item in items] == ["attribute_recognition", "object_localization"]
    assert items[0]["question"] == "Look at the whole picture.\nWhich color is it?"
    assert (items[0]["options"], items[0]["accepted"]) == (["red", "lime", "blue", "yellow"], ["red"])
    assert items[1]["options"] == ["left", "right"], "empty options are none, and the rotated copy is left out"
    assert items[1]["pictures"] == items[0]["pictures"], "a row may name the row that has its picture"


def test_a_picture_of_mmbench_is_found_through_a_row_that_names_another(tmp_path: Path) -> None:
    file = write_mmbench(tmp_path)
    _break(file, "1000002\t", "3\t")
    _break(file, "\tA\tobject_localization\t1\t", "\tA\tobject_localization\t2\t")
    items = read_mmbench(file, "mmbench")
    assert [item["pictures"][0].encoded for item in items] == [picture("red")] * 3


def test_json_may_begin_with_a_byte_order_mark_and_hold_any_character_in_its_strings(tmp_path: Path) -> None:
    file, images = write_pope(tmp_path)
    text = file.read_text().replace("red thing", "red\u2028thing")
    file.write_text(text, encoding="utf-8-sig")
    assert [item["question"] for item in read_pope(file, images, "pope")] == [
        "Is there a red\u2028thing in the image?"
    ] * 2
    file, images = write_mmvet(tmp_path)
    file.write_text(file.read_text(), encoding="utf-8-sig")
    assert len(read_mmvet(file, images, "mmvet")) == 2


@pytest.mark.parametrize("written", ["a", "A ", " a"])
def test_an_answer_of_mmbench_is_a_letter_however_it_is_written(tmp_path: Path, written: str) -> None:
    file = write_mmbench(tmp_path)
    _break(file, "\tA\tattribute", f"\t{written}\tattribute")
    assert read_mmbench(file, "mmbench")[0]["accepted"] == ["red"]


def test_what_pandas_writes_for_an_empty_cell_of_mmbench_is_nothing(tmp_path: Path) -> None:
    file = write_mmbench(tmp_path)
    whole = read_mmbench(file, "mmbench")
    _break(file, "it?\t\tleft\tright\t\t\t", "it?\tnan\tleft\tright\tnan\tnan\t")
    file.write_text(file.read_text(), encoding="utf-8-sig")
    assert read_mmbench(file, "mmbench") == whole


def test_a_file_of_mmbench_without_answers_is_refused_as_a_whole(tmp_path: Path) -> None:
    file = write_mmbench(tmp_path)
    for answer in ("\tA\tattribute", "\tB\tobject", "\tA\tobject"):
        _break(file, answer, answer.replace(answer[1], "nan", 1))
    with pytest.raises(SuiteError, match=r"MMBench_DEV_EN\.tsv: no row has an answer; take a file with answers"):
        read_mmbench(file, "mmbench")


def test_rows_about_a_picture_share_its_bytes(tmp_path: Path) -> None:
    file, images = write_pope(tmp_path)
    popular = file.with_name("coco_pope_popular.json")
    popular.write_bytes(file.read_bytes())
    given = [{"suite": "pope", "file": str(one), "images": str(images)} for one in (file, popular)]
    settings = BenchmarkSettings.model_validate({"external": given})
    items = read_suites(settings.external)
    assert len(items) == 4
    assert len({id(item["pictures"][0]) for item in items}) == 2


@pytest.mark.parametrize("damage", damaged_pictures())
def test_a_damaged_picture_is_named_by_the_row_that_wants_it(tmp_path: Path, damage: str) -> None:
    damaged = damaged_pictures()[damage]
    file, images = write_pope(tmp_path)
    (images / "blue.png").write_bytes(damaged)
    with pytest.raises(SuiteError, match=r"coco_pope_random\.json:2: picture .*blue\.png cannot be decoded: "):
        read_pope(file, images, "pope")
    file, images = write_mmvet(tmp_path)
    (images / "blue.png").write_bytes(damaged)
    with pytest.raises(SuiteError, match=r"item v1_1: picture .*blue\.png cannot be decoded: "):
        read_mmvet(file, images, "mmvet")


def test_a_damaged_picture_of_mmbench_is_named_by_its_row(tmp_path: Path) -> None:
    file = write_mmbench(tmp_path)
    encoded = base64.b64encode(picture("red")).decode()
    _break(file, encoded, encoded[:68])
    with pytest.raises(SuiteError, match="row 2, index 1: image: cannot be decoded: "):
        read_mmbench(file, "mmbench")


def test_mmvet(tmp_path: Path) -> None:
    items = read_mmvet(*write_mmvet(tmp_path), "mmvet")
    assert [item["ability"] for item in items] == ["rec", "math+ocr"]
    assert items[1]["accepted"] == ["14", "x = 14<AND>y = 2"]
    file, images = write_mmvet(tmp_path)
    _break(file, '"red",', "14.5,")
    assert read_mmvet(file, images, "mmvet")[0]["accepted"] == ["14.5"]


@pytest.mark.parametrize(
    ("suite", "old", "new", "complaint"),
    [
        (
            "pope",
            '"label": "no"',
            '"label": "maybe"',
            r"coco_pope_random\.json:2: label: must be yes or no, not 'maybe'",
        ),
        ("pope", '"text"', '"txet"', r"coco_pope_random\.json:1: needs question_id, .* 'text' is missing"),
        ("pope", "red.png", "gone.png", r"coco_pope_random\.json:1: no picture .*gone\.png"),
        ("pope", '"yes"', '["yes"]', r"random\.json:1: label: must be yes or no, not \['yes'\]"),
        ("pope", '"Is there a red thing in the image?"', "null", r"random\.json:1: text: must be text, not None"),
        ("pope", '"red.png"', "1", r"random\.json:1: image: must be text, not 1"),
        ("pope", '"question_id": 1', '"question_id": null', r"random\.json:1: question_id: must be a number or text"),
        ("pope", '{"question_id": 1', '1\n{"question_id": 1', r"random\.json:1: must be a JSON object"),
        ("pope", "{", "[", r"coco_pope_random\.json:1: not JSON"),
        ("mmbench", "\tA\tattribute", "\tE\tattribute", r"row 2, index 1: answer: 'E' is none of its options"),
        ("mmbench", "\tA\tattribute", "\t\tattribute", r"row 2, index 1: answer: is missing, which other rows have"),
        ("mmbench", "\tlime\t", "\tred \t", r"row 2, index 1: B: is the same option as A, 'red'"),
        ("mmbench", "\tcategory\t", "\tsort\t", "lacks the columns category"),
        ("mmvet", '"capability"', '"skills"', r"item v1_0: needs .* 'capability' is missing"),
        ("mmvet", '"What is x?"', "null", r"item v1_1: question: must be text, not None"),
        ("mmvet", '"red",', "null,", r"item v1_0: answer: must be text, not None"),
        ("mmvet", '"red",', '" ",', r"item v1_0: answer: must be text, not ' '"),
        ("mmvet", '"rec"', "1", r"item v1_0: capability: must be text, not 1"),
        ("mmvet", '"blue.png"', "null", r"item v1_1: imagename: must be text, not None"),
        ("mmvet", "blue.png", "gone.png", r"item v1_1: no picture .*gone\.png"),
        ("mmbench", "\t1\town", "\t1234\town", r"row 3, index 2: image: '1234' is neither a picture nor the index"),
        ("mmbench", "\t1\town", "\t\town", r"row 3, index 2: image: '' is neither a picture nor the index"),
        ("mmbench", "\t1\town", "\t2\town", r"row 3, index 2: image: '2' is neither a picture nor the index"),
        ("mmbench", "iVBOR", "?VBOR", r"row 2, index 1: image: is not base64"),
        ("pope", '"red.png"', '"red\\u0000.png"', r"random\.json:1: '.*' is no name of a picture's file"),
        ("pope", '"red.png"', '"\\ud800.png"', r"random\.json:1: image: holds half of a character"),
        ("pope", "the image?", "the \\ud800?", r"random\.json:1: text: holds half of a character"),
        ("pope", '"question_id": 1', '"question_id": true', r"random\.json:1: question_id: must be a number or text"),
        (
            "pope",
            '"question_id": 1',
            '"question_id": ' + "9" * 5000,
            r"random\.json:1: not JSON: a number has more than",
        ),
        ("mmvet", '"red",', "true,", r"item v1_0: answer: must be text, not True"),
        ("mmvet", '"red",', "NaN,", r"item v1_0: answer: must be text, not nan"),
        ("mmbench", "left\tright", "left\t", r"row 3, index 2: A, B: there are not two options to choose from"),
        ("mmbench", "\tattribute_recognition", "\t ", r"row 2, index 1: category: is missing"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, suite: str, old: str, new: str, complaint: str) -> None:
    if suite == "mmbench":
        file = write_mmbench(tmp_path)
        given = {"suite": suite, "file": str(file)}
    else:
        file, images = {"pope": write_pope, "mmvet": write_mmvet}[suite](tmp_path)
        given = {"suite": suite, "file": str(file), "images": str(images)}
    _break(file, old, new)
    judge = {"endpoint": {"model": "judge"}}
    settings = BenchmarkSettings.model_validate({"external": [given], "judge": judge})
    with pytest.raises(SuiteError, match=complaint):
        read_suites(settings.external)


def test_a_profile_that_cannot_score_a_suite_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "benchmark.yaml"
    path.write_text("external:\n  - {suite: mmvet, file: mm-vet.json, images: images}\n")
    with pytest.raises(DocumentError, match=r"benchmark\.yaml:2: external\.0\.suite: MM-Vet is scored by a chat model"):
        load_document(path, BenchmarkSettings)
    path.write_text("external:\n  - {suite: mmbench, file: a.tsv}\n  - {suite: mmbench, file: b.tsv}\n")
    with pytest.raises(DocumentError, match=r"benchmark\.yaml:3: external\.1\.name: 'mmbench' is taken"):
        load_document(path, BenchmarkSettings)


def test_two_files_of_pope_with_one_split_need_names_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "benchmark.yaml"
    first = "external:\n  - {suite: pope, file: coco_pope_random.json, images: images}\n"
    second = "  - {suite: pope, file: aokvqa_pope_random.json, images: images}\n"
    path.write_text(first + second)
    taken = r"benchmark\.yaml:3: external\.1\.name: 'pope random' is taken; give it another name"
    with pytest.raises(DocumentError, match=taken):
        load_document(path, BenchmarkSettings)
    path.write_text(first + second.replace("}", ", name: pope_aokvqa}"))
    assert [suite.name for suite in load_document(path, BenchmarkSettings).external] == ["pope", "pope_aokvqa"]


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(json.dumps([1]))
    with pytest.raises(SuiteError, match="must be one JSON object"):
        read_mmvet(tmp_path / "list.json", tmp_path, "mmvet")
    with pytest.raises(SuiteError, match="cannot be read"):
        read_pope(tmp_path / "none.json", tmp_path, "pope")


def test_base64_as_other_programs_write_it(tmp_path: Path) -> None:
    encoded = picture("red")
    plain = base64.b64encode(encoded).decode()
    lines = "\n".join(textwrap.wrap(plain, 76))
    read = Pictures()
    for text in (plain, lines, plain.rstrip("="), f"data:image/png;base64,{plain}", f" {plain} "):
        assert read.in_base64(text, "row 2").encoded == encoded
    with pytest.raises(SuiteError, match="row 3: image: is not base64"):
        read.in_base64("a picture!", "row 3")


def test_a_mark_in_a_question_is_refused(tmp_path: Path) -> None:
    row = {"question_id": 7, "image": "red.png", "text": "<image>\nIs there a dog?", "label": "yes"}
    (tmp_path / "coco_pope_random.json").write_text(json.dumps(row))
    (tmp_path / "red.png").write_bytes(picture("red"))
    with pytest.raises(SuiteError, match="pope: item 7: the question holds <image>"):
        read_pope(tmp_path / "coco_pope_random.json", tmp_path, "pope")


def test_an_open_quote_of_a_tsv_is_named(tmp_path: Path) -> None:
    head = "index\tquestion\tA\tB\tanswer\tcategory\timage"
    (tmp_path / "m.tsv").write_text(f'{head}\n1\t"What?\ta\tb\tA\tc\tx\n2\tWhat?\ta\tb\tA\tc\tx\n')
    with pytest.raises(SuiteError, match=r"m\.tsv:2: a quote is opened here and never closed.*benchmark\.external"):
        read_mmbench(tmp_path / "m.tsv", "mmbench")
