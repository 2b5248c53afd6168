"""Images that are made as edits of others: which ones, and in which order they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NotRequired, TypeVar

from stablellava_assets.painters.base import FinishedImages
from stablellava_assets.painters.image_rows import image_row
from stablellava_assets.tables.pair_rows import ImageRow, PromptToPaint
from stablellava_assets.tables.rows import AnyPlanned, PlannedRow
from stablellava_assets.tables.schemas import OF_SETTING

_GROUPS_AT_ONCE = 64
"""Groups whose first images are in memory to be edited."""
RowKey = tuple[str, str]
"""A row's id and key."""


@dataclass(frozen=True)
class Original:
    """The image that another one is an edit of: its row's id and key, and the id and text of its prompt."""

    row_id: str
    row_key: str
    spec_id: str
    prompt: str


class Inputs(PromptToPaint):
    """Inputs of an image; ``original`` is the one that it is an edit of."""

    original: NotRequired[Original]


InputsT = TypeVar("InputsT", bound=Inputs)


def first_of_groups(specs: Sequence[PromptToPaint]) -> Mapping[str, PromptToPaint]:
    """The first prompt of the group, by the ids of the further prompts of exact groups, whose seeds are the same.

    Images of other groups share too little for an edit.
    """
    firsts = {spec.get("group_id"): spec for spec in specs if spec.get("image_number") == 1}
    return {
        spec["spec_id"]: first
        for spec in specs
        if spec.get("group_id") is not None
        and (first := firsts.get(spec.get("group_id"))) is not None
        and first["spec_id"] != spec["spec_id"]
        and first["seed"] == spec["seed"]
    }


def originals_elsewhere(rows: Sequence[AnyPlanned]) -> list[RowKey]:
    """The originals of edits among ``rows`` that are not among them."""
    held = {(row.row_id, row.row_key) for row in rows}
    wanted = {original_of(row): None for row in rows if "original" in row.inputs}
    return [key for key in wanted if key not in held]


def original_of(row: AnyPlanned) -> RowKey:
    """Id and key of the row whose image an edit changes."""
    original: Original = row.inputs["original"]
    return original.row_id, original.row_key


def row_without_original(
    row: PlannedRow[InputsT], missing: ImageRow | None, *, painter: str, model: str, cost_usd: Decimal | None = None
) -> ImageRow:
    """The row of an edit whose original was not made: now (``missing``), or with these settings before."""
    told = "" if missing is None else f": {missing['reason']}"
    return image_row(
        row,
        None,
        painter=painter,
        model=model,
        seed=None,
        cost_usd=cost_usd,
        status=None if missing is None else missing["status"],
        reason=f"there is no first image of its group to edit{told}",
        fault=OF_SETTING if missing is None else missing.get("fault"),
    )


def originals_first(
    planned: Sequence[PlannedRow[InputsT]],
    finished: FinishedImages,
    make: Callable[[Sequence[tuple[PlannedRow[InputsT], bytes]]], Iterable[ImageRow]],
    without: Callable[[PlannedRow[InputsT], ImageRow | None], ImageRow],
) -> Iterator[ImageRow]:
    """Make rows, each edit after its original.

    Args:
        planned: rows in any order.
        finished: originals that were made before.
        make: makes the rows of images; with each row the file of its original, empty for what is no edit.
        without: the row of an edit whose original was not made: now (given), or with these settings before.
    """
    edits: dict[RowKey, list[PlannedRow[InputsT]]] = {}
    for row in planned:
        if "original" in row.inputs:
            edits.setdefault(original_of(row), []).append(row)
    others = {(row.row_id, row.row_key): row for row in planned if "original" not in row.inputs}
    yield from make([(row, b"") for key, row in others.items() if key not in edits])
    originals = list(edits)
    for start in range(0, len(originals), _GROUPS_AT_ONCE):
        keys = originals[start : start + _GROUPS_AT_ONCE]
        images, missing = dict(finished([key for key in keys if key not in others])), {}
        for made in make([(others[key], b"") for key in keys if key in others]):
            if made["image"] is None:
                missing[made["image_id"]] = made
            else:
                images[made["image_id"]] = made["image"]["bytes"]
            yield made
        yield from (without(row, missing.get(key[0])) for key in keys if key[0] not in images for row in edits[key])
        yield from make([(row, images[key[0]]) for key in keys if key[0] in images for row in edits[key]])
