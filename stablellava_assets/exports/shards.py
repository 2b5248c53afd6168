"""Exports WebDataset shards: tar files for streaming, with one sample per pair.

A sample holds the image under the name of its format (``png``, ``jpg``; ``0.png``, ``1.png`` if there are several) and
``json`` with the conversation and its provenance.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from stablellava_assets.exports.selection import Pair
from stablellava_assets.exports.splits import TRAIN

_PAIRS_A_SHARD = 5_000
_BYTES_A_SHARD = 400 * 2**20


class ShardsWriter:
    """Writes ``<split>-NNNNNN.tar``, and the number of pairs per shard in ``shards.json`` for tools that need it."""

    title = "WebDataset shards"

    def __init__(self, folder: Path, splits: list[str]) -> None:
        import webdataset

        self._folder = folder
        self._sizes: Counter[str] = Counter()
        self._shards = {
            split: webdataset.ShardWriter(
                f"{str(folder).replace('%', '%%')}/{split}-%06d.tar",
                maxcount=_PAIRS_A_SHARD,
                maxsize=_BYTES_A_SHARD,
                verbose=0,
                encoder=False,
                # Equal pairs give equal bytes.
                mtime=0,
            )
            for split in splits
        }

    def rejection_reason(self, pair: Pair) -> str | None:
        """Always None: the format can represent every pair."""
        return None

    def add(self, pair: Pair, split: str) -> None:
        """Write a pair."""
        several = len(pair.pictures) > 1
        pictures = {
            f"{number}.{picture.suffix}" if several else picture.suffix: picture.encoded
            for number, picture in enumerate(pair.pictures)
        }
        turns = [dict(turn) for turn in pair.row["conversations"]]
        described: dict[str, object] = {"id": pair.pair_id, "conversations": turns, **pair.provenance()}
        writer = self._shards[split]
        writer.write(
            {"__key__": pair.pair_id, **pictures, "json": json.dumps(described, ensure_ascii=False).encode("utf-8")}
        )
        self._sizes[Path(writer.fname).name] += 1

    def close(self) -> None:
        """Finish the files."""
        for writer in self._shards.values():
            writer.close()
        shards = [{"url": name, "nsamples": count} for name, count in sorted(self._sizes.items())]
        index = {"__kind__": "wds-shard-index-v1", "wids_version": 1, "shardlist": shards}
        (self._folder / "shards.json").write_text(json.dumps(index, indent=1), encoding="utf-8")

    def usage(self) -> str:
        """Instructions for reading the export, as Markdown."""
        last = max((name for name in self._sizes if name.startswith(f"{TRAIN}-")), default=f"{TRAIN}-000000.tar")
        pattern = f"{TRAIN}-{{000000..{last.removesuffix('.tar').rsplit('-', 1)[1]}}}.tar"
        return (
            f'`webdataset.WebDataset("{pattern}", shardshuffle=100).shuffle(5000).decode("pil")` reads it. Pairs lie '
            "ability by ability, so shuffle shards and samples."
        )
