"""WebDataset shards, streamed back with the ``webdataset`` library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import webdataset

from stablellava_assets.exports.export import export_pairs
from stablellava_assets.exports.selection import chosen_partitions, read_pairs
from stablellava_assets.exports.splits import Splits, read_splits
from stablellava_assets.tables.store import ParquetStore


def samples(folder: Path, split: str) -> list[dict[str, Any]]:
    urls = sorted(str(path) for path in folder.glob(f"{split}-*.tar"))
    return list(webdataset.WebDataset(urls, shardshuffle=False))


def test_every_pair_comes_back(store: ParquetStore, tmp_path: Path) -> None:
    exported = export_pairs("webdataset", store, chosen_partitions(store), tmp_path / "out", read_splits(["test=0.3"]))
    found = {split: samples(tmp_path / "out", split) for split in ("train", "test")}
    assert {split: len(rows) for split, rows in found.items()} == exported.splits
    read = {sample["__key__"]: sample for rows in found.values() for sample in rows}
    expected = {pair.pair_id: pair for pair in read_pairs(store, chosen_partitions(store))}
    assert read.keys() == expected.keys()
    for key, sample in read.items():
        pair, told = expected[key], json.loads(sample["json"])
        assert told["id"] == key
        assert told["conversations"] == pair.row["conversations"]
        names = ["png"] if len(pair.pictures) == 1 else ["0.png", "1.png"]
        assert [sample[name] for name in names] == [picture.encoded for picture in pair.pictures]
        assert told["pictures"][0]["seed"] == pair.pictures[0].row["seed"]


def test_pictures_decode_as_the_readme_says(store: ParquetStore, tmp_path: Path) -> None:
    export_pairs("webdataset", store, [("plant", "0002")], tmp_path / "out", Splits())
    pattern = str(tmp_path / "out/train-{000000..000000}.tar")
    (sample,) = webdataset.WebDataset(pattern, shardshuffle=False).shuffle(10).decode("pil")
    assert sample["png"].size == (24, 24)
    assert sample["json"]["conversations"][1]["value"] == "A fern rests by the brook."


def test_shards_are_cut_and_indexed(store: ParquetStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stablellava_assets.exports.shards._PAIRS_A_SHARD", 10)
    folder = tmp_path / "100% of %06d"
    export_pairs("webdataset", store, chosen_partitions(store), folder, Splits())
    index = json.loads((folder / "shards.json").read_text())["shardlist"]
    assert '"train-{000000..000002}.tar"' in (folder / "README.md").read_text()
    assert index == [
        {"url": "train-000000.tar", "nsamples": 10},
        {"url": "train-000001.tar", "nsamples": 10},
        {"url": "train-000002.tar", "nsamples": 6},
    ]
    for shard in index:
        read = webdataset.WebDataset(str(folder / shard["url"]), shardshuffle=False)
        assert len(list(read)) == shard["nsamples"]
