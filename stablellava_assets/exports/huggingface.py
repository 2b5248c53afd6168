"""Exports a Hugging Face dataset: Parquet files that contain the images, and a dataset card that defines the splits."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

import pyarrow as pa

from stablellava_assets.exports.selection import Pair
from stablellava_assets.exports.split_files import SplitFiles
from stablellava_assets.filters.candidates import prompts_of, subjects_of
from stablellava_assets.tables.pair_rows import EncodedImage
from stablellava_assets.tables.table import CONVERSATIONS, IMAGE_LIST, STRINGS, AnyTable, Table, column
from stablellava_assets.text.conversations import Turn


class ExportedPair(TypedDict):
    """A row of the exported files."""

    pair_id: str
    ability: str
    question_kind: str
    images: list[EncodedImage]
    conversations: list[Turn]
    expected: str | None
    subject: str
    prompt: str
    subjects: list[str]
    prompts: list[str]
    notes: list[str]
    image_ids: list[str]
    digital_source_types: list[str | None]
    software: list[str | None]
    painters: list[str]
    image_models: list[str]
    seeds: list[int | None]
    prompt_author: str
    prompt_model: str | None
    dialogue_author: str
    dialogue_model: str | None


DATASET = Table(
    "pairs",
    ExportedPair,
    "Conversations about one or more images, one row per conversation.",
    "pair_id",
    (),
    (
        column("pair_id", pa.string(), "Id of the pair."),
        column("ability", pa.string(), "Ability that the pair trains."),
        column("question_kind", pa.string(), "Kind of the question."),
        column("images", IMAGE_LIST, "The images, in the order of the <image> marks."),
        column("conversations", CONVERSATIONS, "Turns: from human or gpt, and their text, in LLaVA's layout."),
        column("expected", pa.string(), "What a right answer must contain; null for open questions."),
        column("subject", pa.string(), "Subject of the first image."),
        column("prompt", pa.string(), "Prompt of the first image."),
        column("subjects", STRINGS, "Subject of each image."),
        column("prompts", STRINGS, "Prompt of each image."),
        column("notes", STRINGS, "Findings of the filters that did not reject the pair, and human decisions."),
        column("image_ids", STRINGS, "Ids of the images."),
        column("digital_source_types", STRINGS, "IPTC digital source type of each image."),
        column("software", STRINGS, "Software that made each image, with its version."),
        column("painters", STRINGS, "Painter of each image."),
        column("image_models", STRINGS, "Model or artwork of each image."),
        column("seeds", pa.list_(pa.int64()), "Seed of each image."),
        column("prompt_author", pa.string(), "Author of the prompt."),
        column("prompt_model", pa.string(), "Chat model that wrote the prompt; null if there was none."),
        column("dialogue_author", pa.string(), "Author of the conversation."),
        column("dialogue_model", pa.string(), "Chat model that wrote the conversation; null if there was none."),
    ),
)
"""The columns of the exported files."""


class HuggingFaceWriter:
    """Writes ``data/<split>-NNNNN-of-NNNNN.parquet``, with row groups small enough to page through."""

    title = "Hugging Face dataset"

    def __init__(self, folder: Path, splits: list[str]) -> None:
        (folder / "data").mkdir()
        self._files = {split: SplitFiles(folder / "data", split, DATASET) for split in splits}

    def rejection_reason(self, pair: Pair) -> str | None:
        """Always None: the format can represent every pair."""
        return None

    def add(self, pair: Pair, split: str) -> None:
        """Write a pair."""
        self._files[split].add(_row(pair), pair.pictures)

    def close(self) -> None:
        """Finish the files."""
        for files in self._files.values():
            files.close()

    def usage(self) -> str:
        """Instructions for reading the export, as Markdown."""
        return "\n".join(["`datasets.load_dataset(FOLDER)` reads it.", "", column_table(DATASET)])


def _row(pair: Pair) -> ExportedPair:
    row, pictures = pair.row, pair.pictures
    return {
        "pair_id": row["pair_id"],
        "ability": row["ability"],
        "question_kind": row["question_kind"],
        "conversations": row["conversations"],
        "expected": row["expected"],
        "subject": row["subject"],
        "prompt": row["prompt"],
        "image_ids": row["image_ids"],
        "subjects": subjects_of(row),
        "prompts": prompts_of(row),
        "notes": pair.notes,
        "images": [{"bytes": picture.encoded, "path": picture.file_name} for picture in pictures],
        "digital_source_types": [picture.row["digital_source_type"] for picture in pictures],
        "software": [picture.row["software"] for picture in pictures],
        "painters": [picture.row["painter"] for picture in pictures],
        "image_models": [picture.row["model"] for picture in pictures],
        "seeds": [picture.row["seed"] for picture in pictures],
        "prompt_author": pair.prompt["author"],
        "prompt_model": pair.prompt["model"],
        "dialogue_author": pair.dialogue["author"],
        "dialogue_model": pair.dialogue["model"],
    }


def column_table(table: AnyTable) -> str:
    """The columns of the exported files, as Markdown."""
    # Markdown renderers would treat the image mark as an HTML tag.
    columns = [
        f"| `{field.name}` | {table.description_of(field.name).replace('<image>', '`<image>`')} |"
        for field in table.columns
    ]
    return "\n".join(["| column | meaning |", "|---|---|", *columns])


def card_header(licence: str, sizes: dict[str, int]) -> str:
    """The YAML metadata of the dataset card for the hub and ``datasets``."""
    from huggingface_hub import DatasetCardData

    files = [{"split": split, "path": f"data/{split}-*.parquet"} for split in sizes]
    card = DatasetCardData(
        license=licence,
        language=["en"],
        task_categories=["image-text-to-text", "visual-question-answering"],
        size_categories=[_size_category(sum(sizes.values()))],
        tags=["synthetic", "llava", "vision-language"],
        pretty_name="Image-dialogue pairs made by stablellava-assets",
        configs=[{"config_name": "default", "data_files": files}],
    )
    return f"---\n{card.to_yaml()}\n---"


def _size_category(count: int) -> str:
    bounds = [(1_000, "1K"), (10_000, "10K"), (100_000, "100K"), (1_000_000, "1M"), (10_000_000, "10M")]
    below = None
    for bound, name in bounds:
        if count < bound:
            return f"n<{name}" if below is None else f"{below}<n<{name}"
        below = name
    return f"n>{below}"
