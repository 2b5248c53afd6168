"""Exports preference pairs in the layout of TRL's vision datasets: images, a prompt, a chosen and a rejected answer."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import pyarrow as pa

from stablellava_assets.exports.huggingface import column_table
from stablellava_assets.exports.selection import Pair
from stablellava_assets.exports.split_files import SplitFiles
from stablellava_assets.exports.wrong_answers import WrongAnswer, WrongAnswers
from stablellava_assets.filters.candidates import prompts_of
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.pair_rows import EncodedImage
from stablellava_assets.tables.table import IMAGE_LIST, STRINGS, Table, column
from stablellava_assets.text.conversations import CHAT_ROLES, ChatMessage, Turn, content_of

_PART = pa.struct([pa.field("type", pa.string()), pa.field("text", pa.string())])
_MESSAGES = pa.list_(pa.struct([pa.field("role", pa.string()), pa.field("content", pa.list_(_PART))]))


class Preference(TypedDict):
    """A row of the exported files."""

    preference_id: str
    images: list[EncodedImage]
    prompt: list[ChatMessage]
    chosen: list[ChatMessage]
    rejected: list[ChatMessage]
    ability: str
    question_kind: str
    expected: str | None
    chosen_pair_id: str
    chosen_author: str
    chosen_model: str | None
    rejected_source: str
    rejected_pair_id: str | None
    rejected_rules: list[str]
    rejected_author: str
    rejected_model: str | None
    image_ids: list[str]
    image_prompts: list[str]
    digital_source_types: list[str | None]
    software: list[str | None]
    painters: list[str]
    image_models: list[str]
    seeds: list[int | None]


PREFERENCES = Table(
    "preferences",
    Preference,
    "A question about one or more images with a right and a wrong answer, one row per wrong answer.",
    "preference_id",
    (),
    (
        column("preference_id", pa.string(), "Id of the row: a hash of the kept pair and of the wrong answer."),
        column("images", IMAGE_LIST, "The images, in the order of the image parts of the prompt."),
        column("prompt", _MESSAGES, "The question: one message of the user, of image and text parts."),
        column("chosen", _MESSAGES, "The right answer: one message of the assistant."),
        column("rejected", _MESSAGES, "The wrong answer: one message of the assistant."),
        column("ability", pa.string(), "Ability that the pair trains."),
        column("question_kind", pa.string(), "Kind of the question."),
        column("expected", pa.string(), "What a right answer must contain; null for open questions."),
        column("chosen_pair_id", pa.string(), "Id of the kept pair, which gives question and right answer."),
        column("chosen_author", pa.string(), "Author of the right answer."),
        column("chosen_model", pa.string(), "Chat model that wrote it; null if there was none."),
        column(
            "rejected_source",
            pa.string(),
            "rejected_pair: a pair that the filters rejected; base, tuned: a model that was asked the question.",
        ),
        column("rejected_pair_id", pa.string(), "Id of the rejected pair; null for a model that was asked."),
        column("rejected_rules", STRINGS, "Rules that rejected that pair; empty for a model that was asked."),
        column("rejected_author", pa.string(), "Author of the wrong answer: that of the pair, or base or tuned."),
        column(
            "rejected_model",
            pa.string(),
            "Chat model that wrote it, or the model that was asked; null if there was none.",
        ),
        column("image_ids", STRINGS, "Ids of the images."),
        column("image_prompts", STRINGS, "Prompt of each image."),
        column("digital_source_types", STRINGS, "IPTC digital source type of each image."),
        column("software", STRINGS, "Software that made each image, with its version."),
        column("painters", STRINGS, "Painter of each image."),
        column("image_models", STRINGS, "Model or artwork of each image."),
        column("seeds", pa.list_(pa.int64()), "Seed of each image."),
    ),
)
"""The columns of the exported files."""


class PreferenceWriter:
    """Writes ``data/<split>-NNNNN-of-NNNNN.parquet``, a row for each wrong answer to a pair's question."""

    title = "TRL preference dataset with images"

    def __init__(self, wrong: WrongAnswers, folder: Path, splits: list[str]) -> None:
        self._wrong = wrong
        self._rows = 0
        (folder / "data").mkdir()
        self._files = {split: SplitFiles(folder / "data", split, PREFERENCES) for split in splits}

    def rejection_reason(self, pair: Pair) -> str | None:
        """Why there is nothing to prefer the pair's answer to; None if there is."""
        return None if self._wrong.of(pair) else "has a question to which no wrong answer is known"

    def add(self, pair: Pair, split: str) -> None:
        """Write the rows of a pair."""
        for wrong in self._wrong.of(pair):
            self._files[split].add(_row(pair, wrong), pair.pictures)
            self._rows += 1

    def close(self) -> None:
        """Finish the files."""
        for files in self._files.values():
            files.close()

    def usage(self) -> str:
        """Instructions for reading the export, as Markdown."""
        return "\n".join(
            [
                f"{self._rows:,} rows, one for each wrong answer. `datasets.load_dataset(FOLDER)` reads them, and the "
                "`DPOTrainer` of TRL takes `images`, `prompt`, `chosen` and `rejected` as they are. No question, image "
                "or answer is from a benchmark: wrong answers are those of rejected pairs, or of models that were "
                "asked the questions of kept training pairs.",
                "",
                column_table(PREFERENCES),
            ]
        )


def _row(pair: Pair, wrong: WrongAnswer) -> Preference:
    row, pictures = pair.row, pair.pictures
    question, answer = row["conversations"]
    return {
        "preference_id": content_key("preference", pair.pair_id, wrong.source, wrong.text),
        "images": [{"bytes": picture.encoded, "path": picture.file_name} for picture in pictures],
        "prompt": _messages(question),
        "chosen": _messages(answer),
        "rejected": _messages({**answer, "value": wrong.text}),
        "ability": row["ability"],
        "question_kind": row["question_kind"],
        "expected": row["expected"],
        "chosen_pair_id": pair.pair_id,
        "chosen_author": pair.dialogue["author"],
        "chosen_model": pair.dialogue["model"],
        "rejected_source": wrong.source,
        "rejected_pair_id": wrong.pair_id,
        "rejected_rules": list(wrong.rules),
        "rejected_author": wrong.written["author"],
        "rejected_model": wrong.written["model"],
        "image_ids": row["image_ids"],
        "image_prompts": prompts_of(row),
        "digital_source_types": [picture.row["digital_source_type"] for picture in pictures],
        "software": [picture.row["software"] for picture in pictures],
        "painters": [picture.row["painter"] for picture in pictures],
        "image_models": [picture.row["model"] for picture in pictures],
        "seeds": [picture.row["seed"] for picture in pictures],
    }


def _messages(turn: Turn) -> list[ChatMessage]:
    return [{"role": CHAT_ROLES[turn["from"]], "content": content_of(turn["value"])}]
