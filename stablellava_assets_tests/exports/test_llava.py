"""The LLaVA format, read step by step as ``LazySupervisedDataset`` of haotian-liu/LLaVA
reads it (llava/train/train.py)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stablellava_assets.exports.export import export_pairs
from stablellava_assets.exports.selection import chosen_partitions
from stablellava_assets.exports.splits import Splits, read_splits
from stablellava_assets.filters.review.reviews import Review
from stablellava_assets.tables.schemas import FILTERED_PAIRS, IMAGES
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets_tests.published_pairs import ANIMALS, animal, publish

MARK = "<image>"


@pytest.fixture
def folder(store: ParquetStore, tmp_path: Path) -> Path:
    export_pairs("llava", store, chosen_partitions(store), tmp_path / "out", Splits())
    return tmp_path / "out"


def rows_of(folder: Path, split: str = "train") -> list[dict[str, Any]]:
    # LLaVA opens the file without naming an encoding.
    rows: list[dict[str, Any]] = json.loads((folder / f"{split}.json").read_text(encoding="ascii"))
    return rows


def of_one_image(folder: Path, split: str = "train") -> list[dict[str, Any]]:
    """The rows that the first LLaVA reads."""
    return [row for row in rows_of(folder, split) if isinstance(row["image"], str)]


def multimodal(value: str) -> str:
    """What ``preprocess_multimodal`` makes of a turn: the mark goes to the front, on a line of its own."""
    if MARK not in value:
        return value
    return f"{MARK}\n{value.replace(MARK, '').strip()}".strip()


def test_a_row_has_the_fields_of_llavas_own_data(folder: Path) -> None:
    rows = rows_of(folder)
    assert [set(row) for row in rows] == [{"id", "image", "conversations"}] * 26
    assert len({row["id"] for row in rows}) == 26
    assert {type(row["id"]) for row in rows} == {str}
    assert len(of_one_image(folder)) == 25
    for row in rows:
        assert [set(turn) for turn in row["conversations"]] == [{"from", "value"}] * len(row["conversations"])


def test_lengths_are_counted_as_the_sampler_does(folder: Path) -> None:
    for row in rows_of(folder):
        words = sum(len(turn["value"].split()) for turn in row["conversations"])
        assert "image" in row
        assert words > 0


def test_every_picture_opens_from_the_image_folder(folder: Path, store: ParquetStore) -> None:
    from transformers import CLIPImageProcessor

    processor = CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    for row in of_one_image(folder)[:5]:
        picture = Image.open(folder / "images" / row["image"]).convert("RGB")
        assert processor.preprocess(picture, return_tensors="pt")["pixel_values"][0].shape == (3, 28, 28)
    assert (
        len({row["image"] for row in of_one_image(folder)})
        == len(list((folder / "images").rglob("*.png")))
        == len(ANIMALS) + 1
    )


def test_every_picture_is_byte_for_byte_that_of_its_pair(folder: Path, store: ParquetStore) -> None:
    painted = {row["image_id"]: row["image"]["bytes"] for row in store.read_all(IMAGES).to_pylist()}
    pairs = {row["pair_id"]: row["image_ids"] for row in store.read_all(FILTERED_PAIRS).to_pylist()}
    rows = [{**row, "image": [row["image"]]} if isinstance(row["image"], str) else row for row in rows_of(folder)]
    named = {row["id"]: [Path(image).stem for image in row["image"]] for row in rows}
    assert named == {row["id"]: pairs[row["id"]] for row in rows}
    exported = {path.stem: path.read_bytes() for path in (folder / "images").rglob("*") if path.is_file()}
    assert exported == {image_id: painted[image_id] for image_id in exported}
    assert set(exported) == {image_id for image_ids in named.values() for image_id in image_ids}
    assert len(set(exported.values())) == len(ANIMALS) + 1, "pictures that look alike would prove nothing"


def test_turns_pass_what_the_code_asserts(folder: Path) -> None:
    for row in of_one_image(folder):
        turns = [{**turn, "value": multimodal(turn["value"])} for turn in row["conversations"]]
        for index, turn in enumerate(turns):
            assert turn["from"] == ("human", "gpt")[index % 2]
        assert len(turns) == 2, "preprocess_plain of stage one asserts a question and an answer"
        assert turns[0]["value"].startswith(f"{MARK}\n")
        assert "".join(turn["value"] for turn in turns).count(MARK) == 1
        assert turns[1]["value"].strip()


def test_texts_come_through_unchanged(folder: Path) -> None:
    turns = {row["id"]: row["conversations"] for row in rows_of(folder)}
    assert turns["koala again"] == [
        {"from": "human", "value": "Is it day?\n<image>"},
        {"from": "gpt", "value": "Yes, the sun is “out”."},
    ]


def test_several_images_are_a_list_as_llava_next_reads_it(folder: Path) -> None:
    (row,) = (row for row in rows_of(folder) if not isinstance(row["image"], str))
    assert row["id"] == "both"
    assert row["image"] == ["animal/image of spec of koala.png", "animal/image of spec of owl.png"]
    # LLaVA-NeXT opens the list in order, and puts an image in the place of each mark.
    assert len([Image.open(folder / "images" / name).convert("RGB") for name in row["image"]]) == 2
    assert "".join(turn["value"] for turn in row["conversations"] if turn["from"] == "human").count(MARK) == 2
    assert "1 of the rows are about several images: their `image` is a list" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("turns", "told"),
    [
        ([("gpt", "A koala."), ("human", "<image>")], "turns that do not alternate"),
        ([("human", "What is it?"), ("gpt", "A koala.")], "mark in the first question"),
        ([("human", "<image>"), ("gpt", "A koala <image>.")], "mark in the first question"),
        ([("human", "What is it?\n<image>"), ("gpt", "A koala.</s>")], "holds '</s>'"),
        ([("human", "What is it?\n<image>"), ("gpt", "The sign reads ASSISTANT: on duty.")], "holds 'ASSISTANT:'"),
        ([("human", "ASSISTANT: what is it?\n<image>"), ("gpt", "A koala.")], "holds 'ASSISTANT:'"),
        ([("human", "What is it?\n<image>"), ("gpt", " ")], "has an empty turn"),
    ],
)
def test_a_malformed_pair_that_a_person_kept_is_left_out(
    tmp_path: Path, turns: list[tuple[str, str]], told: str
) -> None:
    odd = animal("koala")
    odd.dialogue["conversations"] = [{"from": speaker, "value": value} for speaker, value in turns]
    decided = {"koala": Review(pair_id="koala", decision="keep", reviewer="Ada")}
    store = publish(tmp_path / "tables", [odd, animal("owl")], decided)
    exported = export_pairs("llava", store, chosen_partitions(store), tmp_path / "out", Splits())
    assert exported.pairs == 1
    (reason,) = exported.left_out
    assert told in reason


def test_a_split_has_a_file_of_its_own(store: ParquetStore, tmp_path: Path) -> None:
    exported = export_pairs("llava", store, chosen_partitions(store), tmp_path / "out", read_splits(["validation=0.3"]))
    train, validation = rows_of(tmp_path / "out"), rows_of(tmp_path / "out", "validation")
    held = [{image for row in rows for image in _names(row["image"])} for rows in (train, validation)]
    assert exported.splits == {"train": len(train), "validation": len(validation)}
    assert validation
    assert not held[0] & held[1]
    told = [json.loads(line) for line in (tmp_path / "out/provenance.jsonl").read_text().splitlines()]
    assert {row["pair_id"]: row["split"] for row in told} == {
        **{row["id"]: "train" for row in train},
        **{row["id"]: "validation" for row in validation},
    }
    assert told[0]["pictures"][0]["painter"] == "embedded"
    assert told[0]["pictures"][0]["digital_source_type"] == "compositeSynthetic"
    assert told[0]["pictures"][0]["software"] == "stablellava-assets 0"


def _names(image: str | list[str]) -> list[str]:
    return [image] if isinstance(image, str) else image
