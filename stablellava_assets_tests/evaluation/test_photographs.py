"""Lists of photographs: read, refused, built from labels; and training pictures that repeat them."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets.cli.main import main
from stablellava_assets.evaluation.photographs.items import make_photographs, plan_photographs
from stablellava_assets.evaluation.photographs.records import PhotographRecord, read_photographs
from stablellava_assets.evaluation.photographs.writing import write_folder
from stablellava_assets.evaluation.scores.scoring import is_correct
from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprints
from stablellava_assets.inputs.yaml_documents import DocumentError
from stablellava_assets_tests.evaluation.suite_files import damaged_pictures
from stablellava_assets_tests.tables.made_up import Row
from stablellava_assets_tests.tuning.tiny import picture

ABILITIES = ("animal", "color")
LINE: dict[str, Any] = {
    "image": "red.png",
    "ability": "color",
    "question": "Which color is it?",
    "accepted": "red",
    "kind": "what",
}


def write_list(folder: Path, *lines: dict[str, Any] | str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "red.png").write_bytes(picture("red"))
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "list.jsonl").write_text("\n".join(texts))
    return folder


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"colour": 1}, r"list\.jsonl:3: colour: is not a known key"),
        ({"question": ""}, r"list\.jsonl:3: question: String should have at least 1 character"),
        ({"kind": "where"}, r"list\.jsonl:3: kind: Input should be"),
        ({"kind": "yes_no"}, r'list\.jsonl:3: accepted: must be \["yes"\] or \["no"\] with kind yes_no'),
        ({"kind": "either_or", "options": ["red"]}, r"list\.jsonl:3: options: either_or takes two different options"),
        ({"kind": "choice", "options": ["blue", "lime"]}, r"list\.jsonl:3: accepted: must be one of the options"),
        (
            {"kind": "either_or", "accepted": ["rd"], "options": ["red", "blue"]},
            r"list\.jsonl:3: accepted: must name one of the options, and one alone, with kind either_or",
        ),
        (
            {"kind": "either_or", "accepted": ["red", "blue"], "options": ["red", "blue"]},
            r"list\.jsonl:3: accepted: must name one of the options",
        ),
        ({"accepted": ["red", "?"]}, r"list\.jsonl:3: accepted: '\?' holds no word, so no answer holds it"),
        ({"refused": ["!"]}, r"list\.jsonl:3: refused: '!' holds no word"),
        ({"refused": ["blue", "The Red"]}, r"list\.jsonl:3: refused: 'The Red' is accepted as well"),
        ({"options": ["red", "blue"]}, r"list\.jsonl:3: options: what takes no options"),
        ({"ability": "smell"}, r"list\.jsonl:3: ability: there is no 'smell'; the catalog has animal, color"),
        ({"image": "gone.png"}, r"list\.jsonl:3: image: there is no file .*gone\.png"),
        ({"image": "list.jsonl"}, r"list\.jsonl:3: image: .* cannot be decoded"),
        ({"image": "."}, r"list\.jsonl:3: image: .* cannot be read: Is a directory"),
        ({}, r"list\.jsonl:3: question: line 1 asks the same about the same picture"),
    ],
)
def test_a_mistake_names_file_line_key_and_reason(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    folder = write_list(tmp_path / "photos", LINE, "", {**LINE, **change})
    with pytest.raises(DocumentError, match=complaint):
        read_photographs(folder, ABILITIES)


def test_a_key_that_is_given_twice_is_named(tmp_path: Path) -> None:
    twice = json.dumps(LINE).replace('"kind"', '"accepted": "blue", "kind"')
    with pytest.raises(DocumentError, match=r"list\.jsonl:2: accepted: given twice"):
        read_photographs(write_list(tmp_path / "photos", LINE, twice), ABILITIES)


def test_signs_may_be_chosen(tmp_path: Path) -> None:
    sign = {**LINE, "question": "Which sign is it?", "kind": "choice", "options": ["+", "?"], "accepted": "?"}
    assert len(read_photographs(write_list(tmp_path / "photos", sign), ABILITIES)) == 1


@pytest.mark.parametrize("damage", damaged_pictures())
def test_a_damaged_photograph_is_a_mistake_of_every_line_that_lists_it(tmp_path: Path, damage: str) -> None:
    folder = write_list(tmp_path / "photos", LINE, {**LINE, "question": "What color is this?"})
    (folder / "red.png").write_bytes(damaged_pictures()[damage])
    with pytest.raises(DocumentError) as raised:
        read_photographs(folder, ABILITIES)
    first, second = str(raised.value).splitlines()
    assert re.search(r"list\.jsonl:1: image: .*red\.png cannot be decoded: ", first)
    assert re.search(r"list\.jsonl:2: image: .*red\.png cannot be decoded: ", second)


def test_a_photograph_that_is_damaged_after_its_list_was_read_fails_alone(tmp_path: Path) -> None:
    folder = write_list(tmp_path / "photos", LINE)
    planned = plan_photographs(read_photographs(folder, ABILITIES), "color")
    (folder / "red.png").write_bytes(damaged_pictures()["too many pixels"])
    (row,) = make_photographs(planned)
    assert row["status"] == "failed"
    assert "red.png cannot be decoded" in str(row["reason"])


def test_a_list_may_begin_with_a_byte_order_mark_and_hold_any_character_in_its_strings(tmp_path: Path) -> None:
    question = "Which\u2028color\u0085is it?"
    folder = write_list(tmp_path / "photos", json.dumps({**LINE, "question": question}, ensure_ascii=False), LINE)
    listing = (folder / "list.jsonl").read_text(encoding="utf-8")
    (folder / "list.jsonl").write_text(listing, encoding="utf-8-sig")
    read = read_photographs(folder, ABILITIES)
    assert [(one.line, one.photograph.question) for one in read] == [(1, question), (2, LINE["question"])]
    assert write_folder(tmp_path / "copy", [(one.photograph, one.path) for one in read], ABILITIES) == 2
    copied = read_photographs(tmp_path / "copy", ABILITIES)
    assert [one.photograph for one in copied] == [one.photograph for one in read]


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    folder = write_list(tmp_path / "photos", "{", {**LINE, "kind": "where"})
    with pytest.raises(DocumentError) as raised:
        read_photographs(folder, ABILITIES)
    assert [line.split(":")[1] for line in str(raised.value).splitlines()] == ["1", "2"]


def test_what_is_no_list(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="no such file or folder"):
        read_photographs(tmp_path / "none", ABILITIES)
    with pytest.raises(DocumentError, match=r"holds 0 \.jsonl files"):
        read_photographs(tmp_path, ABILITIES)
    with pytest.raises(DocumentError, match="lists no photograph"):
        read_photographs(write_list(tmp_path / "photos"), ABILITIES)


def _rows(folder: Path) -> list[Row]:
    planned = plan_photographs(read_photographs(folder, ABILITIES), "color")
    return list(make_photographs(planned))


def _either_or(accepted: list[str], options: list[str], refused: list[str]) -> Row:
    return {**LINE, "kind": "either_or", "accepted": accepted, "options": options, "refused": refused}


@pytest.mark.parametrize(
    ("accepted", "options", "refused", "all_refused"),
    [
        (["red"], ["red", "blue"], [], ["blue"]),
        (["red"], ["red", "blue"], ["navy"], ["navy", "blue"]),
        (["red"], ["red", "blue"], ["blue", "navy"], ["blue", "navy"]),
        (["black and white"], ["a black and white photo", "a watercolor"], [], ["a watercolor"]),
        (["hat"], ["a hat", "a top hat"], [], ["a top hat"]),
        (["top hat"], ["a hat", "a top hat"], [], ["a hat"]),
    ],
)
def test_the_other_option_is_refused(
    tmp_path: Path, accepted: list[str], options: list[str], refused: list[str], all_refused: list[str]
) -> None:
    (row,) = _rows(write_list(tmp_path / "photos", _either_or(accepted, options, refused)))
    assert row["refused"] == all_refused

    def right(answer: str) -> bool:
        return is_correct(answer, row["accepted"], row["refused"], "either_or", row["options"])

    assert sorted(map(right, options)) == [False, True]
    assert not right(f"It is {options[0]} or {options[1]}.")


def test_keys_follow_content_and_not_place(tmp_path: Path) -> None:
    (row,) = _rows(write_list(tmp_path / "one", LINE))
    (moved,) = _rows(write_list(tmp_path / "two", "", {**LINE, "credit": "me, CC0"}))
    assert (row["item_id"], row["row_key"]) == (moved["item_id"], moved["row_key"])
    (accepting,) = _rows(write_list(tmp_path / "three", {**LINE, "accepted": ["red", "scarlet"]}))
    assert accepting["item_id"] == row["item_id"]
    assert accepting["row_key"] != row["row_key"]
    (tmp_path / "two" / "red.png").write_bytes(picture("lime"))
    (repainted,) = _rows(tmp_path / "two")
    assert repainted["item_id"] != row["item_id"]


def test_a_training_picture_that_repeats_a_photograph_is_contamination(tmp_path: Path) -> None:
    (row,) = _rows(write_list(tmp_path / "photos", LINE))
    prints = BenchmarkFingerprints([row], 2)
    near = f"{int(row['perceptual_hash'], 16) ^ 0b11:016x}"
    far = f"{int(row['perceptual_hash'], 16) ^ 0b111:016x}"
    assert prints.item_with_picture("((koala)), meadow", "", near) == (row["item_id"], 2)
    assert prints.item_with_picture("((koala)), meadow", "", far) is None
    assert prints.item_with_prompt("((koala)), meadow") is None


def run(*arguments: object) -> str:
    done = CliRunner().invoke(main, ["photographs", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_sample_is_written_and_valid(tmp_path: Path) -> None:
    assert "26 questions" in run("sample", tmp_path / "sample")
    listed = read_photographs(tmp_path / "sample", load_catalog())
    assert len({one.path for one in listed}) == 8
    assert {one.photograph.kind for one in listed} == {"what", "yes_no", "either_or", "choice", "open"}
    assert all(one.photograph.credit for one in listed)
    refused = CliRunner().invoke(main, ["photographs", "sample", str(tmp_path / "sample")])
    assert refused.exit_code == 1
    assert "is not empty" in refused.output


def _pictures(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(picture("red"))
    return folder


def test_coco_labels_become_questions(tmp_path: Path) -> None:
    names = {1: "elephant", 2: "giraffe", 3: "zebra", 4: "person"}
    shown = {number: [1 + number % 3] for number in range(1, 13)} | {13: [1, 2], 14: [4]}
    images = _pictures(tmp_path / "val2017", [f"{number:012d}.jpg" for number in shown])
    content = {
        "licenses": [{"id": 4, "url": "http://creativecommons.org/licenses/by/2.0/"}],
        "images": [
            {"id": n, "file_name": f"{n:012d}.jpg", "coco_url": f"http://coco/{n}", "license": 4} for n in shown
        ],
        "annotations": [{"image_id": n, "category_id": c} for n, categories in shown.items() for c in categories],
        "categories": [{"id": number, "name": name} for number, name in names.items()],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    printed = run("coco", tmp_path / "instances.json", images, tmp_path / "out", "--per-kind", 4)
    assert "animal       4 what, 4 yes_no, 4 either_or" in printed
    listed = read_photographs(tmp_path / "out", load_catalog())
    assert len({one.path for one in listed}) == len(listed) == 12, "every question has a picture of its own"
    for one in listed:
        photograph, number = one.photograph, int(one.path.stem)
        (category,) = shown[number]
        if photograph.kind == "yes_no":
            assert (names[category] in photograph.question) == (photograph.accepted == ("yes",))
            assert any(name in photograph.question for name in ("elephant", "giraffe", "zebra"))
        else:
            assert names[category] in photograph.accepted
        assert photograph.credit == f"http://coco/{number}, http://creativecommons.org/licenses/by/2.0/"


def test_coco_pictures_of_two_of_a_sort_are_not_asked_which_it_is(tmp_path: Path) -> None:
    sorts = {
        "animal": ("zebra", "dog", "elephant"),
        "food": ("hot dog", "pizza"),
        "vehicle": ("car", "boat", "bus"),
        "furniture": ("chair",),
        "indoor": ("clock", "vase"),
        "kitchen": ("dining table",),
    }
    categories = [(name, sort) for sort, names in sorts.items() for name in names]
    ids = {name: number for number, (name, _) in enumerate(categories, 1)}
    mixed = [("zebra", "dog"), ("hot dog", "pizza"), ("car", "boat"), ("clock", "dining table")]
    shown = dict(enumerate([*mixed * 3, *[("zebra", "pizza"), ("car", "chair")] * 3], 1))
    images = _pictures(tmp_path / "val2017", [f"{number}.jpg" for number in shown])
    content = {
        "images": [{"id": number, "file_name": f"{number}.jpg"} for number in shown],
        "annotations": [{"image_id": n, "category_id": ids[name]} for n, names in shown.items() for name in names],
        "categories": [{"id": ids[name], "name": name, "supercategory": sort} for name, sort in categories],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    printed = run("coco", tmp_path / "instances.json", images, tmp_path / "out", "--per-kind", 2)
    listed = read_photographs(tmp_path / "out", load_catalog())
    which = [one for one in listed if one.photograph.kind != "yes_no"]
    assert {shown[int(one.path.stem)] for one in which} == {("zebra", "pizza"), ("car", "chair")}
    yes_no = {shown[int(one.path.stem)] for one in listed if one.photograph.kind == "yes_no"}
    assert {("zebra", "dog"), ("hot dog", "pizza"), ("car", "boat")} <= yes_no, "a yes or no is right all the same"
    for ability in ("animal", "food", "vehicle", "plant"):
        kinds = [one.photograph.kind for one in listed if one.photograph.ability == ability]
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        assert f"  {ability:<12} {counts or 'no photograph to ask about'}\n" in printed


CLASSES = {
    "/m/01": "Elephant",
    "/m/02": "Lion",
    "/m/03": "Wheel",
    "/m/04": "Dog",
    "/m/05": "Carnivore",
    "/m/06": "Animal",
    "/m/07": "Car",
    "/m/08": "Racing bicycle",
    "/m/09": "Sports car",
}


def _open_images(folder: Path, *verified: tuple[str, str, str], hierarchy: dict[str, Any] | None = None) -> Result:
    """Writes the files of Open Images and runs the command; ``verified`` are image, label and confidence."""
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8-sig") as file:
        rows = [("ImageID", "Source", "LabelName", "Confidence"), *((i, "verification", c, v) for i, c, v in verified)]
        csv.writer(file).writerows(rows)
    (folder / "classes.csv").write_text("".join(f"{code},{name}\n" for code, name in CLASSES.items()))
    images = _pictures(folder / "images", [f"{name}.jpg" for name in {image for image, _, _ in verified}])
    options = ["--per-kind", "1"]
    if hierarchy is not None:
        (folder / "hierarchy.json").write_text(json.dumps(hierarchy))
        options += ["--hierarchy", str(folder / "hierarchy.json")]
    given = [str(folder / "labels.csv"), str(folder / "classes.csv"), str(images), str(folder / "out")]
    return CliRunner().invoke(main, ["photographs", "open-images", *given, *options])


def _asked(folder: Path) -> dict[str, PhotographRecord]:
    return {one.photograph.kind: one for one in read_photographs(folder / "out", load_catalog())}


def test_open_images_ask_only_what_people_verified(tmp_path: Path) -> None:
    verified = [("a", "/m/01", "1"), ("a", "/m/02", "0"), ("b", "/m/01", "1"), ("c", "/m/02", "1"), ("c", "/m/03", "1")]
    assert _open_images(tmp_path, *verified).exit_code == 0
    listed = _asked(tmp_path)
    assert listed.keys() <= {"what", "yes_no", "either_or"}
    if "either_or" in listed:
        assert listed["either_or"].path.stem == "a"
        assert set(listed["either_or"].photograph.options) == {"elephant", "lion"}
    wrong = CliRunner().invoke(
        main, ["photographs", "coco", str(tmp_path / "classes.csv"), str(tmp_path / "images"), str(tmp_path / "x")]
    )
    assert "not a COCO instances file" in wrong.output


def test_what_a_machine_guesses_of_open_images_is_neither_there_nor_absent(tmp_path: Path) -> None:
    guessed = [(image, "/m/02", "0.9") for image in "abc"]
    assert _open_images(tmp_path, *[(image, "/m/01", "1.0") for image in "abc"], *guessed).exit_code == 0
    assert _asked(tmp_path).keys() == {"what", "yes_no"}, "no animal is known to be absent"


@pytest.mark.parametrize("confidence", ["", "often"])
def test_a_confidence_that_is_no_number_is_named(tmp_path: Path, confidence: str) -> None:
    done = _open_images(tmp_path, ("a", "/m/01", "1"), ("a", "/m/02", confidence))
    assert done.exit_code == 1
    assert f"labels.csv:3: Confidence: is no number: '{confidence}'" in done.output


def test_a_row_of_open_images_that_ends_early_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("ImageID,Source,LabelName,Confidence\na,verification\n")
    (tmp_path / "classes.csv").write_text("/m/01,Elephant\n")
    given = [str(tmp_path / name) for name in ("labels.csv", "classes.csv", ".", "out")]
    done = CliRunner().invoke(main, ["photographs", "open-images", *given])
    assert done.exit_code == 1
    assert "labels.csv:2: lacks Confidence, LabelName" in done.output


def test_open_images_of_a_sort_that_the_ability_knows_are_not_asked_which_it_is(tmp_path: Path) -> None:
    alone = [("a", "/m/07", "1"), ("a", "/m/09", "1"), ("a", "/m/03", "1")]
    mixed = [(image, label, "1") for image in "bc" for label in ("/m/07", "/m/08")]
    assert _open_images(tmp_path, *alone, *mixed).exit_code == 0
    assert {kind: one.path.stem in "bc" for kind, one in _asked(tmp_path).items()} == {"what": False, "yes_no": True}


def test_the_hierarchy_of_open_images_tells_another_of_a_sort_from_a_wider_name(tmp_path: Path) -> None:
    carnivores = {"LabelName": "/m/05", "Subcategory": [{"LabelName": "/m/02"}, {"LabelName": "/m/04"}]}
    animals = {"LabelName": "/m/06", "Subcategory": [{"LabelName": "/m/01"}, carnivores]}
    hierarchy = {"LabelName": "/m/00", "Subcategory": [animals, {"LabelName": "/m/03"}]}
    alone = [("a", label, "1") for label in ("/m/02", "/m/05", "/m/06", "/m/03")]
    mixed = [(image, label, "1") for image in "bc" for label in ("/m/02", "/m/04")]
    assert _open_images(tmp_path, *alone, *mixed, hierarchy=hierarchy).exit_code == 0
    assert {kind: one.path.stem in "bc" for kind, one in _asked(tmp_path).items()} == {"what": False, "yes_no": True}


def test_what_is_no_hierarchy_of_open_images_is_named(tmp_path: Path) -> None:
    done = _open_images(tmp_path, ("a", "/m/01", "1"), hierarchy={"Subcategory": [{"Name": "Animal"}]})
    assert done.exit_code == 1
    assert "hierarchy.json: not a hierarchy of Open Images" in done.output


ANIMALS = ["dog", "cat", "horse", "zebra", "elephant", "bear", "sheep", "cow", "bird", "giraffe"]


def _coco(folder: Path, **changes: Any) -> Result:
    """Runs the command on twenty pictures below val, half of them in each of two folders, by a file with
    ``changes``."""
    if not (folder / "val").exists():
        for number in range(20):
            path = folder / f"val/s{1 + number // 10}/{number % 10:03d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture("red"))
    names = [f"s{1 + number // 10}/{number % 10:03d}.jpg" for number in range(20)]
    content = {
        "images": [{"id": number, "file_name": name, "license": 1} for number, name in enumerate(names)],
        "annotations": [{"image_id": number, "category_id": 1 + number % 10} for number in range(20)],
        "categories": [{"id": number, "name": name} for number, name in enumerate(ANIMALS, 1)],
        "licenses": [{"id": 1, "url": "http://l"}],
    }
    content |= {key: change(content[key]) for key, change in changes.items()}
    (folder / "labels.json").write_text(json.dumps(content))
    given = [str(folder / "labels.json"), str(folder / "val"), str(folder / "out")]
    return CliRunner().invoke(main, ["photographs", "coco", *given])


def _each(**values: Any) -> Any:
    return lambda rows: [{**row, **{key: make(row) for key, make in values.items()}} for row in rows]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"annotations": _each(image_id=lambda row: str(row["image_id"]))},
        {"annotations": _each(category_id=lambda row: float(row["category_id"]))},
        {"images": _each(file_name=lambda row: f"/home/ada/project/val/{row['file_name']}")},
        {"images": _each(file_name=lambda row: f"C:\\data\\val\\{row['file_name']}".replace("/", "\\"))},
        {"images": _each(file_name=lambda row: f"/data/local-files/?d=val%2F{row['file_name']}")},
        {"images": _each(file_name=lambda row: f"../../{row['file_name']}")},
        {"images": _each(file_name=lambda row: f"https://host/val/{row['file_name']}?v=1")},
        {"licenses": lambda rows: [{"id": 1, "name": "CC BY 4.0"}, {"name": "none"}, None]},
        {"licenses": lambda rows: None},
        {"annotations": lambda rows: [*rows, {"image_id": 3}, {"category_id": 99, "image_id": 3}]},
        {"categories": _each(supercategory=lambda row: "none")},
    ],
)
def test_coco_files_of_other_tools(changes: dict[str, Any], tmp_path: Path) -> None:
    done = _coco(tmp_path, **changes)
    assert done.exit_code == 0, done.output
    assert "20 pictures listed, 20 found and labelled" in done.output
    (tmp_path / "plain").mkdir()
    plain = _coco(tmp_path / "plain")
    assert done.output.splitlines()[2:] == plain.output.splitlines()[2:]
    listed = read_photographs(tmp_path / "out", load_catalog())
    assert {one.photograph.image.split("/")[1] for one in listed} == {"s1", "s2"}, "none is lost for its name"


def test_coco_pictures_that_are_no_use_are_counted(tmp_path: Path) -> None:
    assert _coco(tmp_path).exit_code == 0
    shutil.rmtree(tmp_path / "out")
    whole = (tmp_path / "val/s1/003.jpg").read_bytes()
    (tmp_path / "val/s1/003.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "val/s1/004.jpg").unlink()
    done = _coco(tmp_path, images=_each(file_name=lambda row: None if row["id"] == 5 else row["file_name"]))
    assert done.exit_code == 0, done.output
    assert "18 found and labelled; 2 whose file_name leads to no file below" in done.output
    assert not list(tmp_path.glob(".out*"))
    again = _coco(tmp_path)
    assert "is not empty.\nIt holds a list of photographs already" in again.output


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"images": lambda rows: {}}, "no list of objects in 'images'"),
        ({"annotations": lambda rows: [None]}, "no list of objects in 'annotations'"),
        ({"categories": _each(name=lambda row: None)}, "lacks an id or a name"),
        ({"categories": _each(id=lambda row: 1)}, "the id 1 stands for "),
        ({"images": _each(file_name=lambda row: "gone.jpg")}, "20 whose file_name leads to no file below"),
        ({"categories": _each(name=lambda row: f"thing {row['id']}")}, "Labels are thing 1, "),
    ],
)
def test_coco_files_that_are_none_say_why_and_leave_nothing(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    done = _coco(tmp_path, **changes)
    assert done.exit_code == 1
    assert told in done.output
    assert not (tmp_path / "out").exists()
