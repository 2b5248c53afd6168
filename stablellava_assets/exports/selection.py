"""What is exported: the kept pairs of chosen partitions, each with its pictures and with where both come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.pictures.encoding import picture_suffix
from stablellava_assets.tables.findings import label_of
from stablellava_assets.tables.schemas import DIALOGUES, FILTERED_PAIRS, IMAGES, PROMPT_SPECS
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets.tables.table import AnyTable

_PICTURE_COLUMNS = (
    "image_id", "image", "software", "painter", "model", "steps", "guidance", "scheduler", "negative_prompt", "seed", "sha256", "digital_source_type"
)  # fmt: skip


class SelectionError(ExplainedError, ValueError):
    """Nothing can be exported as asked; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Picture:
    """An encoded picture, its file suffix, and its ``images`` row without the bytes."""

    encoded: bytes
    suffix: str
    row: Mapping[str, Any]

    @property
    def file_name(self) -> str:
        """File name in a folder."""
        return f"{self.row['image_id']}.{self.suffix}"


@dataclass(frozen=True)
class Pair:
    """A kept pair: its ``filtered_pairs`` row, its pictures in the order of their marks, and who wrote it.

    ``dialogue`` and ``prompt`` hold ``author`` and ``model`` of the pair's dialogue and of its first prompt.
    """

    row: Mapping[str, Any]
    pictures: Sequence[Picture]
    dialogue: Mapping[str, Any]
    prompt: Mapping[str, Any]

    @property
    def pair_id(self) -> str:
        """The pair's id."""
        return str(self.row["pair_id"])

    @property
    def notes(self) -> list[str]:
        """What filters and people found, as ``rule: explanation``."""
        return [f"{label_of(found)}: {found['explanation']}" for found in self.row["findings"]]

    def provenance(self) -> dict[str, Any]:
        """Where the pair comes from, as JSON-able values."""
        row = self.row
        return {
            **{name: row[name] for name in ("pair_id", "ability", "batch", "question_kind", "expected")},
            **{name: row[name] for name in ("subject", "prompt", "row_key")},
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
    """The published partitions of these abilities and batches; all of them where none is named.

    Raises:
        SelectionError: nothing is published, or not for one that is named.
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
    """The kept pairs in the order of the table, one partition in memory at a time.

    Raises:
        SelectionError: a pair is about a picture, a prompt or a dialogue that is not published any more.
    """
    for partition in partitions:
        rows = store.read_all(FILTERED_PAIRS, [partition]).to_pylist()
        wanted = {image_id for row in rows for image_id in row["image_ids"]}
        images = store.read_all(IMAGES, [partition], _PICTURE_COLUMNS).to_pylist()
        pictures = {row["image_id"]: _picture(row) for row in images if row["image_id"] in wanted and row["image"]}
        dialogues = _writers(store, DIALOGUES, partition)
        prompts = _writers(store, PROMPT_SPECS, partition)
        for row in rows:
            try:
                yield Pair(
                    row,
                    [pictures[image_id] for image_id in row["image_ids"]],
                    dialogues[row["pair_id"]],
                    prompts[row["spec_ids"][0]],
                )
            except KeyError as error:
                raise SelectionError(
                    f"filtered_pairs of {'|'.join(partition)} is older than what it was made from: pair {row['pair_id']} needs "
                    f"{error}, which is gone. Materialize filtered_pairs for this partition again."
                ) from error


def _writers(store: ParquetStore, table: AnyTable, partition: Partition) -> dict[str, dict[str, Any]]:
    rows = store.read_all(table, [partition], [table.row_id, "author", "model"]).to_pylist()
    return {row[table.row_id]: row for row in rows}


def _picture(row: Mapping[str, Any]) -> Picture:
    encoded = row["image"]["bytes"]
    return Picture(encoded, picture_suffix(encoded), {name: value for name, value in row.items() if name != "image"})
