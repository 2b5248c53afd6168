"""Exports the format of LLaVA's own training code: one JSON list per split, and a folder of images.

A row is ``{"id", "image", "conversations": [{"from": "human" | "gpt", "value"}]}``. The requirements of that code
(``LazySupervisedDataset`` in haotian-liu/LLaVA and LLaVA-VL/LLaVA-NeXT, llava/train/train.py) decide what can be
exported:

- ``image`` is joined to the image folder and opened. Of several images it is the list, in the order of their marks,
  which LLaVA-NeXT reads (the layout of LLaVA-NeXT-Interleave's data) and the first LLaVA does not;
- turns alternate, the human first (asserted by ``preprocess_v1``);
- ``<image>`` may be anywhere in a human turn, because the code moves the only one of a turn to the front, on a line of
  its own. In an answer, it would become part of the training target;
- ``preprocess_v1`` cuts a conversation at ``</s>`` and `` ASSISTANT: ``: a row that contains one of them, or an empty
  answer, is masked entirely with a warning, or trained with another text.
"""

from __future__ import annotations

import json
from pathlib import Path

from stablellava_assets.exports.selection import Pair
from stablellava_assets.text.conversations import IMAGE_MARK, alternate, marks_of

IMAGES = "images"
_CUTS = ("</s>", " ASSISTANT: ")


def rejection_reason(pair: Pair) -> str | None:
    """Why LLaVA's training code cannot read the pair; None if it can."""
    turns = pair.row["conversations"]
    if not alternate(turns):
        return "has turns that do not alternate between human and gpt"
    marks, images = marks_of(turns), len(pair.pictures)
    if images == 1 and marks != [1] + [0] * (len(turns) - 1):
        return f"does not have its one {IMAGE_MARK} mark in the first question"
    if sum(marks[::2]) != images or any(marks[1::2]):
        return f"does not have one {IMAGE_MARK} mark per image in its questions"
    if not all(turn["value"].strip() for turn in turns):
        return "has an empty turn"
    # A mark is also formed if a turn begins with the rest of one, after the space that LLaVA inserts.
    if cut := next((cut for cut in _CUTS for turn in turns if cut in f" {turn['value']} "), None):
        return f"holds {cut.strip()!r}, at which LLaVA's code cuts conversations"
    return None


class LlavaWriter:
    """Writes ``<split>.json``, ``images/<ability>/<image_id>.<suffix>``, and where each pair
    comes from in ``provenance.jsonl``."""

    title = "LLaVA JSON with an image folder"

    def __init__(self, folder: Path, splits: list[str]) -> None:
        self._folder = folder
        self._rows: dict[str, list[dict[str, object]]] = {split: [] for split in splits}
        self._several = 0
        self._provenance = (folder / "provenance.jsonl").open("w", encoding="utf-8")

    def rejection_reason(self, pair: Pair) -> str | None:
        """Why the format cannot represent the pair; None if it can."""
        return rejection_reason(pair)

    def add(self, pair: Pair, split: str) -> None:
        """Write a pair."""
        images = [f"{pair.row['ability']}/{picture.file_name}" for picture in pair.pictures]
        for image, picture in zip(images, pair.pictures, strict=True):
            path = self._folder / IMAGES / image
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(picture.encoded)
        self._several += len(images) > 1
        turns = [{"from": turn["from"], "value": turn["value"]} for turn in pair.row["conversations"]]
        image_or_images = images if len(images) > 1 else images[0]
        self._rows[split].append({"id": pair.pair_id, "image": image_or_images, "conversations": turns})
        self._provenance.write(json.dumps({**pair.provenance(), "split": split}, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Finish the files."""
        self._provenance.close()
        for split, rows in self._rows.items():
            # LLaVA opens the file with the platform's encoding, so it must be ASCII.
            (self._folder / f"{split}.json").write_text(json.dumps(rows, indent=1), encoding="ascii")

    def usage(self) -> str:
        """Instructions for reading the export, as Markdown."""
        several = (
            f" {self._several:,} of the rows are about several images: their `image` is a list, in the order of the "
            "`<image>` marks, as LLaVA-NeXT reads it. The first LLaVA reads one image per row; for it, export only "
            "abilities about single images (`--ability`)."
        )
        return (
            "LLaVA's training script takes these as `--data_path train.json --image_folder images`. `provenance.jsonl` "
            "holds one line per pair: prompt, seed, painter, author, models. Stage one of LLaVA (`--version plain`) "
            "reads pairs of one question and one answer only." + (several if self._several else "")
        )
