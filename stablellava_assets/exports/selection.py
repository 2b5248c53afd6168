"""Selects the kept pairs to export, with their images and provenance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict

from stablellava_assets.filters.candidates import prompts_of, subjects_of
from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.pictures.encoding import picture_suffix
from stablellava_assets.tables.encoded_images import PublishedImages
from stablellava_assets.tables.findings import label_of
from stablellava_assets.tables.pair_rows import ImageOrigin, Verdict, Written
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.schemas import DIALOGUES, FILTERED_PAIRS, IMAGES, PROMPT_SPECS
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets.tables.table import AnyTable, columns_of, rows_of


class PictureOrigin(ImageOrigin):
    """The provenance columns of an image."""

    sha256: str
    digital_source_type: str | None


class SharedColumns(TypedDict):
    """The columns of a kept pair that tell with which others it must stay."""

    image_ids: list[str]
    prompt: str
    further_prompts: list[str] | None


class SelectionError(ExplainedError, ValueError):
    """The requested pairs cannot be exported; the message names the problem and the remedy."""


@dataclass(frozen=True)
class Picture:
    """An encoded image, its file suffix and its provenance."""

    encoded: bytes
    suffix: str
    row: PictureOrigin

    @property
    def file_name(self) -> str:
        """Its file name in a folder."""
        return f"{self.row['image_id']}.{self.suffix}"


@dataclass(frozen=True)
class Pair:
    """A kept pair: its ``filtered_pairs`` row, its images in the order of their marks, and its authors.

    ``dialogue`` and ``prompts`` describe the authors of its dialogue and of each prompt.
    """

    row: Verdict
    pictures: Sequence[Picture]
    dialogue: Written
    prompts: Sequence[Written]

    @property
    def prompt(self) -> Written:
        """The author of the first prompt."""
        return self.prompts[0]

    @property
    def pair_id(self) -> str:
        """The pair's id."""
        return self.row["pair_id"]

    @property
    def notes(self) -> list[str]:
        """The findings of filters and reviews that did not reject it, as ``rule: explanation``."""
        return [f"{label_of(found)}: {found['explanation']}" for found in self.row["findings"]]

    def provenance(self) -> dict[str, object]:
        """The provenance of the pair as JSON-serializable values."""
        row = self.row
        return {
            "pair_id": row["pair_id"],
            "ability": row["ability"],
            "batch": row["batch"],
            "question_kind": row["question_kind"],
            "expected": row["expected"],
            "subject": row["subject"],
            "prompt": row["prompt"],
            **({"prompts": prompts_of(row), "subjects": subjects_of(row)} if len(self.pictures) > 1 else {}),
            "row_key": row["row_key"],
            "notes": self.notes,
            "prompt_author": self.prompt["author"],
            "prompt_model": self.prompt["model"],
            "dialogue_author": self.dialogue["author"],
            "dialogue_model": self.dialogue["model"],
            "pictures": [dict(picture.row) for picture in self.pictures],
        }


def chosen_partitions(
    store: ParquetStore, abilities: Sequence[str] = (), batches: Sequence[str] = ()
) -> list[Partition]:
    """The published partitions of these abilities and batches; all of them by default.

    Raises:
        SelectionError: nothing is published, or not for a given ability or batch.
    """
    published = store.partitions(FILTERED_PAIRS)
    if not published:
        raise SelectionError("filtered_pairs has not been materialized yet; run `make demo`")
    for position, asked, what in ((0, abilities, "ability"), (1, batches, "batch")):
        known = sorted({partition[position] for partition in published})
        if unknown := [name for name in asked if name not in known]:
            raise SelectionError(f"no pairs are published for {what} {unknown[0]!r}; there are {', '.join(known)}")
    chosen = [
        partition
        for partition in published
        if (not abilities or partition[0] in abilities) and (not batches or partition[1] in batches)
    ]
    if not chosen:
        raise SelectionError("no pairs are published for these abilities and batches together")
    return chosen


def read_pairs(store: ParquetStore, partitions: Sequence[Partition]) -> Iterator[Pair]:
    """The kept pairs in the order of the table, with a few megabytes of images in memory at a time.

    Raises:
        SelectionError: the image, prompt or dialogue of a pair is no longer published.
    """
    for partition in partitions:
        rows = FILTERED_PAIRS.rows(store.read_all(FILTERED_PAIRS, [partition]))
        images = PublishedImages(store, IMAGES, partition)
        origins = rows_of(PictureOrigin, store.read_all(IMAGES, [partition], columns_of(PictureOrigin)))
        origin_of = {row["image_id"]: row for row in origins}
        dialogues = _writers(store, DIALOGUES, partition)
        prompts = _writers(store, PROMPT_SPECS, partition)
        for row in rows:
            try:
                yield Pair(
                    row,
                    [_picture(images, origin_of[image_id]) for image_id in row["image_ids"]],
                    dialogues[row["pair_id"]],
                    [prompts[spec_id] for spec_id in row["spec_ids"]],
                )
            except KeyError as error:
                raise SelectionError(
                    f"filtered_pairs of {'|'.join(partition)} is older than what it was made from: pair "
                    f"{row['pair_id']} needs {error}, which is gone. Materialize filtered_pairs for this partition "
                    "again."
                ) from error


def read_shared(store: ParquetStore, partitions: Sequence[Partition]) -> list[SharedColumns]:
    """The ids of the kept pairs' images, and their prompts."""
    return rows_of(SharedColumns, store.read_all(FILTERED_PAIRS, partitions, columns_of(SharedColumns)))


def _picture(images: PublishedImages, origin: PictureOrigin) -> Picture:
    if (image := images.one(origin["image_id"])) is None:
        raise KeyError(origin["image_id"])
    return Picture(image["bytes"], picture_suffix(image["bytes"]), origin)


def _writers(store: ParquetStore, table: AnyTable, partition: Partition) -> dict[str, Written]:
    data = store.read_all(table, [partition], [table.row_id, *columns_of(Written)])
    return dict(zip(texts_of(data, table.row_id), rows_of(Written, data), strict=True))
