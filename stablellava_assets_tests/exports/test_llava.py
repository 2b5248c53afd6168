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


def multimodal(value: str) -> str:
    """What ``preprocess_multimodal`` makes of a turn: the mark goes to the front, on a line of its own."""
    if MARK not in value:
        return value
    return f"{MARK}\n{value.replace(MARK, '').strip()}".strip()


def test_a_row_has_the_fields_of_llavas_own_data(folder: Path) -> None:
    rows = rows_of(folder)
    assert [set(row) for row in rows] == [{"id", "image", "conversations"}] * 25
    assert len({row["id"] for row in rows}) == 25
    assert {type(row[name]) for row in rows for name in ("id", "image")} == {str}
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
    for row in rows_of(folder)[:5]:
        picture = Image.open(folder / "images" / row["image"]).convert("RGB")
        assert processor.preprocess(picture, return_tensors="pt")["pixel_values"][0].shape == (3, 28, 28)
    assert (
        len({row["image"] for row in rows_of(folder)})
        == len(list((folder / "images").rglob("*.png")))
        == len(ANIMALS) + 1
    )


def test_every_picture_is_byte_for_byte_that_of_its_pair(folder: Path, store: ParquetStore) -> None:
    painted = {row["image_id"]: row["image"]["bytes"] for row in store.read_all(IMAGES).to_pylist()}
    pairs = {row["pair_id"]: row["image_ids"] for row in store.read_all(FILTERED_PAIRS).to_pylist()}
    rows = rows_of(folder)
    assert {row["id"]: [Path(row["image"]).stem] for row in rows} == {row["id"]: pairs[row["id"]] for row in rows}
    exported = {path.stem: path.read_bytes() for path in (folder / "images").rglob("*") if path.is_file()}
    assert exported == {image_id: painted[image_id] for image_id in exported}
    assert set(exported) == {Path(row["image"]).stem for row in rows}
    assert len(set(exported.values())) == len(ANIMALS) + 1, "pictures that look alike would prove nothing"


def test_turns_pass_what_the_code_asserts(folder: Path) -> None:
    for row in rows_of(folder):
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


def test_what_the_code_cannot_read_is_left_out_and_counted(store: ParquetStore, tmp_path: Path) -> None:
    exported = export_pairs("llava", store, chosen_partitions(store), tmp_path / "out", Splits())
    assert exported.left_out == {"is about several images; LLaVA's code reads one per row": 1}
    assert "both" not in {row["id"] for row in rows_of(tmp_path / "out")}
    assert "Left out: 1 pairs, each of which is about several images" in (tmp_path / "out/README.md").read_text()


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
    assert exported.splits == {"train": len(train), "validation": len(validation)}
    assert validation
    assert not {row["image"] for row in train} & {row["image"] for row in validation}
    told = [json.loads(line) for line in (tmp_path / "out/provenance.jsonl").read_text().splitlines()]
    assert {row["pair_id"]: row["split"] for row in told} == {
        **{row["id"]: "train" for row in train},
        **{row["id"]: "validation" for row in validation},
    }
    assert told[0]["pictures"][0]["painter"] == "embedded"
    assert told[0]["pictures"][0]["digital_source_type"] == "compositeSynthetic"
    assert told[0]["pictures"][0]["software"] == "stablellava-assets 0"
