"""The format LLaVA's own training code reads: a JSON list a split, and a folder of pictures.

A row is ``{"id", "image", "conversations": [{"from": "human" | "gpt", "value"}]}``. What that code (``LazySupervisedDataset``
in haotian-liu/LLaVA, llava/train/train.py) asks of a row decides what can be exported:

- ``image`` is joined to the image folder and opened: one picture a row, not a list;
- turns alternate, the human first (``preprocess_v1`` asserts it);
- ``<image>`` may stand anywhere in a turn: the code moves it to the front, on a line of its own, so it is left
  where it is. In an answer, it would become part of what is learnt;
- ``preprocess_v1`` cuts a conversation at ``</s>`` and `` ASSISTANT: ``: a row that holds one of them, or an answer of nothing,
  is masked whole with a warning, or taught with another text.
"""

from __future__ import annotations

import json
from pathlib import Path

from stablellava_assets.exports.selection import Pair
from stablellava_assets.text.conversations import IMAGE_MARK, alternate, marks_of

IMAGES = "images"
_CUTS = ("</s>", " ASSISTANT: ")


def why_not(pair: Pair) -> str | None:
    """Why LLaVA's training code cannot read the pair; None if it can."""
    turns = pair.row["conversations"]
    if len(pair.pictures) != 1:
        return "is about several images; LLaVA's code reads one per row"
    if not alternate(turns):
        return "has turns that do not alternate between human and gpt"
    if marks_of(turns) != [1] + [0] * (len(turns) - 1):
        return f"does not have its one {IMAGE_MARK} mark in the first question"
    if not all(turn["value"].strip() for turn in turns):
        return "has an empty turn"
    # A mark also forms where a turn begins with the rest of one, after the space that LLaVA puts there.
    if cut := next((cut for cut in _CUTS for turn in turns if cut in f" {turn['value']} "), None):
        return f"holds {cut.strip()!r}, at which LLaVA's code cuts conversations"
    return None


class LlavaWriter:
    """Writes ``<split>.json``, ``images/<ability>/<image_id>.<suffix>``, and where each pair comes from in ``provenance.jsonl``."""

    title = "LLaVA JSON with an image folder"

    def __init__(self, folder: Path, splits: list[str]) -> None:
        self._folder = folder
        self._rows: dict[str, list[dict[str, object]]] = {split: [] for split in splits}
        self._provenance = (folder / "provenance.jsonl").open("w", encoding="utf-8")

    def why_not(self, pair: Pair) -> str | None:
        """Why the format has no place for the pair; None if it has."""
        return why_not(pair)

    def add(self, pair: Pair, split: str) -> None:
        """Write a pair."""
        (picture,) = pair.pictures
        image = f"{pair.row['ability']}/{picture.file_name}"
        path = self._folder / IMAGES / image
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture.encoded)
        turns = [{"from": turn["from"], "value": turn["value"]} for turn in pair.row["conversations"]]
        self._rows[split].append({"id": pair.pair_id, "image": image, "conversations": turns})
        self._provenance.write(json.dumps({**pair.provenance(), "split": split}, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Finish the files."""
        self._provenance.close()
        for split, rows in self._rows.items():
            # LLaVA opens the file with the platform's encoding, so it is kept to ASCII.
            (self._folder / f"{split}.json").write_text(json.dumps(rows, indent=1), encoding="ascii")

    def usage(self) -> str:
        """How the export is read, as Markdown."""
        return (
            "LLaVA's training script takes these as `--data_path train.json --image_folder images`. `provenance.jsonl` holds "
            "one line per pair: prompt, seed, painter, author, models. Stage one of LLaVA (`--version plain`) reads pairs of one "
            "question and one answer only."
        )
