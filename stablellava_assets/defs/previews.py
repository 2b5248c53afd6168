"""Pictures in asset metadata: contact sheets and plots, inside the page as data URIs."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import dagster as dg
import pyarrow as pa

from stablellava_assets.pictures.contact_sheet import contact_sheet
from stablellava_assets.tables.findings import REJECTS, rules_with
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.text.conversations import without_marks

_COLUMNS = 8
_PICTURES = 24
_PAIRS = 16


def picture_sheet(images: pa.Table, specs: pa.Table) -> dg.MarkdownMetadataValue:
    """Painted pictures above their subjects."""
    subjects = dict(zip(texts_of(specs, "spec_id"), texts_of(specs, "subject"), strict=True))
    rows = islice((row for row in _rows(images, ["image", "spec_id"]) if row["image"]), _PICTURES)
    return _sheet([(row["image"]["bytes"], subjects[row["spec_id"]]) for row in rows], 2)


def item_sheet(items: pa.Table) -> dg.MarkdownMetadataValue:
    """Benchmark pictures above their questions and what counts as right."""
    rows = spread([row for row in _rows(items, ["image", "question", "accepted"]) if row["image"]], _PAIRS)
    return _sheet([(row["image"]["bytes"], f"{row['question']}\n= {' / '.join(row['accepted'])}") for row in rows], 5)


def pair_sheet(pairs: Iterable[Mapping[str, Any]], pictures: Mapping[str, bytes]) -> dg.MarkdownMetadataValue:
    """Pairs above their last question and answer, and the reasons against them if there are any."""
    cells = []
    for pair in spread([pair for pair in pairs if pair["image_ids"][0] in pictures], _PAIRS):
        human, gpt = pair["conversations"][-2:]
        question = without_marks(human["value"])
        rules = rules_with(REJECTS, pair["findings"])
        reasons = f"\n! {', '.join(rules)}" if rules else ""
        cells.append((pictures[pair["image_ids"][0]], f"{question}\n> {gpt['value']}{reasons}"))
    return _sheet(cells, 6)


def plot(png: bytes, alternative: str) -> dg.MarkdownMetadataValue:
    """A plot inside the page."""
    return _picture(png, "png", alternative)


def _sheet(cells: list[tuple[bytes, str]], caption_lines: int) -> dg.MarkdownMetadataValue:
    if not cells:
        return dg.MetadataValue.md("nothing to show")
    return _picture(contact_sheet(cells, _COLUMNS, caption_lines), "jpeg", "contact sheet")


def _picture(data: bytes, kind: str, alternative: str) -> dg.MarkdownMetadataValue:
    return dg.MetadataValue.md(f"![{alternative}](data:image/{kind};base64,{base64.b64encode(data).decode()})")


def _rows(data: pa.Table, columns: list[str]) -> Iterable[dict[str, Any]]:
    for batch in data.select(columns).to_batches(max_chunksize=_PICTURES):
        yield from batch.to_pylist()


def spread(rows: Sequence[Any], count: int = _PAIRS) -> Sequence[Any]:
    """At most ``count`` rows, evenly from the whole list."""
    return rows[:: max(1, len(rows) // count)][:count]
