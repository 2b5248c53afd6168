"""Images in asset metadata: contact sheets and plots as data URIs."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from typing import NotRequired, TypedDict, TypeVar

import dagster as dg
import pyarrow as pa

from stablellava_assets.evaluation.item_captions import AskedItem, asked_and_accepted
from stablellava_assets.pictures.contact_sheet import Cell, contact_sheet
from stablellava_assets.tables.encoded_images import EncodedImages
from stablellava_assets.tables.findings import REJECTS, rules_with
from stablellava_assets.tables.pair_rows import EncodedImage, Verdict
from stablellava_assets.tables.table import RowT, columns_of, rows_of
from stablellava_assets.text.conversations import without_marks

T = TypeVar("T")
_COLUMNS = 8
_PICTURES = 24
_PAIRS = 16


class _Painted(TypedDict):
    image: EncodedImage | None
    spec_id: str


class _Prompted(TypedDict):
    spec_id: str
    subject: str
    group_id: str | None


class ShownItem(AskedItem):
    """The columns of a benchmark item that are shown."""

    image: EncodedImage | None
    further_images: NotRequired[list[EncodedImage] | None]


def first_pictures(images: Iterable[pa.Table], specs: pa.Table) -> bytes | None:
    """A contact sheet (JPEG) of the first synthesized images, with their subjects as captions; None if there is none.

    No more than needed is read. The images of a dialogue stand side by side.
    """
    known = {row["spec_id"]: row for row in rows_of(_Prompted, specs.select(columns_of(_Prompted)))}
    painted = ((image, known[row["spec_id"]]) for row in _rows(_Painted, images) if (image := row["image"]) is not None)
    shown = groupby(islice(painted, _PICTURES), lambda each: each[1]["group_id"] or each[1]["spec_id"])
    cells: list[Cell] = []
    for _, group in shown:
        pictures, prompts = zip(*group, strict=True)
        cells.append(([image["bytes"] for image in pictures], ", ".join(spec["subject"] for spec in prompts)))
    return contact_sheet(cells, _COLUMNS, 2) if cells else None


def item_sheet(items: Iterable[pa.Table]) -> dg.MarkdownMetadataValue:
    """Benchmark images with their questions and accepted answers as captions."""
    cells: list[Cell] = [
        ([each["bytes"] for each in (image, *(row.get("further_images") or ()))], asked_and_accepted(row))
        for row in _rows(ShownItem, items)
        if (image := row["image"]) is not None
    ]
    return _sheet(cells, 5)


def pair_sheet(pairs: Sequence[Verdict], images: EncodedImages) -> dg.MarkdownMetadataValue:
    """Pairs with their last question and answer, and their reasons for rejection, as captions."""
    cells: list[Cell] = []
    shown = spread(pairs, _PAIRS)
    pictures = dict(images({image_id for pair in shown for image_id in pair["image_ids"]}))
    for pair in shown:
        human, gpt = pair["conversations"][-2:]
        question = without_marks(human["value"])
        rules = rules_with(REJECTS, pair["findings"])
        reasons = f"\n! {', '.join(rules)}" if rules else ""
        beside = [pictures.get(image_id, b"") for image_id in pair["image_ids"]]
        cells.append((beside, f"{question}\n> {gpt['value']}{reasons}"))
    return _sheet(cells, 6)


def plot(png: bytes, alternative: str) -> dg.MarkdownMetadataValue:
    """A plot as a data URI."""
    return _picture(png, "png", alternative)


def sheet(jpeg: bytes | None) -> dg.MarkdownMetadataValue:
    """A contact sheet as a data URI."""
    return dg.MetadataValue.md("nothing to show") if jpeg is None else _picture(jpeg, "jpeg", "contact sheet")


def _sheet(cells: Sequence[Cell], caption_lines: int) -> dg.MarkdownMetadataValue:
    return sheet(contact_sheet(cells, _COLUMNS, caption_lines) if cells else None)


def _picture(data: bytes, kind: str, alternative: str) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(f"![{alternative}](data:image/{kind};base64,{base64.b64encode(data).decode()})")


def _rows(kind: type[RowT], tables: Iterable[pa.Table]) -> Iterator[RowT]:
    for data in tables:
        for batch in data.select(columns_of(kind)).to_batches(max_chunksize=_PICTURES):
            yield from rows_of(kind, pa.Table.from_batches([batch]))


def spread(rows: Sequence[T], count: int = _PAIRS) -> Sequence[T]:
    """At most ``count`` rows, evenly spaced."""
    return rows[:: max(1, len(rows) // count)][:count]
