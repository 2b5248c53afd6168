"""What asking the reference models would cost."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import cast

from stablellava_assets.abilities.catalog import AnyAbility
from stablellava_assets.endpoint.forecasting import Expected, forecast
from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.evaluation.answers.answer_rows import Question
from stablellava_assets.evaluation.answers.pictures import ItemPicture, PublishedPictures, held_pictures
from stablellava_assets.evaluation.answers.references import (
    LIKELY_TOKENS,
    plan_reference_answers,
    reference_request,
)
from stablellava_assets.evaluation.benchmark import DIAGNOSIS, PAINTED, plan_items
from stablellava_assets.evaluation.photographs.items import PHOTOGRAPHS
from stablellava_assets.evaluation.settings import BenchmarkSettings, ReferenceSettings
from stablellava_assets.evaluation.suites.suites import read_suites
from stablellava_assets.painters.base import Painter
from stablellava_assets.planning.spending import StagePlan, missing_rows
from stablellava_assets.state.sql import StatePlace
from stablellava_assets.tables.checkpoints import checkpoint_ids
from stablellava_assets.tables.encoded_images import images_of_partitions
from stablellava_assets.tables.reading import only_made
from stablellava_assets.tables.rows import PlannedRow
from stablellava_assets.tables.schemas import ABILITY_BENCHMARK, REFERENCE_ANSWERS
from stablellava_assets.tables.score_rows import ItemQuestion, ItemToAsk
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets.tables.table import columns_of, rows_of

_ITEM_COLUMNS = {"item_id", *columns_of(ItemQuestion)}
_ANSWER_COLUMNS = ["answer_id", "row_key", "status", "fault", "settings_key"]
_STAND_IN = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNoaGgAAAMEAYFL09IQAAAAAElFTkSuQmCC"
)
"""A PNG of one pixel, for images that are yet to be painted; any image gives the same estimate."""


def reference_plan(
    store: ParquetStore,
    settings: BenchmarkSettings,
    abilities: Sequence[AnyAbility],
    painter: Painter,
    ledger_place: StatePlace,
    *,
    with_suites: bool = True,
) -> list[StagePlan]:
    """Plan the reference models' answers, one stage per model, by ability; those to a published benchmark in one line.

    Answers that are published for the newest checkpoint, or in the ledger, are free. Synthesized items that are yet to
    be made are planned; photographs that are yet to be read are not.

    Args:
        store: the published tables.
        settings: the benchmark's.
        abilities: those that are measured.
        painter: who paints their items.
        ledger_place: the chat author's ledger.
        with_suites: whether published benchmarks are planned as well.

    Raises:
        SuiteError: a file of a published benchmark is invalid.
        StoreError: the items cannot be read.
    """
    if not settings.references:
        return []
    partitions = [partition for one in abilities if store.holds(ABILITY_BENCHMARK, partition := (one.ability,))]
    published = only_made(store.read_all(ABILITY_BENCHMARK, partitions, [*sorted(_ITEM_COLUMNS), "status"]))
    own = [item for item in rows_of(ItemToAsk, published) if item["benchmark"] != DIAGNOSIS]
    suites = read_suites(settings.external) if with_suites else []
    there = PublishedPictures(images_of_partitions(store, ABILITY_BENCHMARK, partitions), Path(tempfile.gettempdir()))
    pictures = there.of({item["item_id"] for item in own}) | held_pictures(suites)
    unmade = [one for one in abilities if (one.ability,) not in partitions]
    for item, count in _unmade_items(unmade, settings.items_per_kind, painter):
        own.append(item)
        pictures[item["item_id"]] = [ItemPicture("", (), _STAND_IN)] * count
    newest = checkpoint_ids(store)[-1:]
    items: list[ItemToAsk] = [*own, *suites]
    with there.copied({item["item_id"] for item in items}):
        return [
            plan
            for one in settings.references
            for plan in _plans(store, one, plan_reference_answers("".join(newest), one, items, pictures), ledger_place)
        ]


def _unmade_items(
    abilities: Iterable[AnyAbility], items_per_kind: int, painter: Painter
) -> Iterator[tuple[ItemToAsk, int]]:
    """Items with their number of images."""
    for ability in abilities:
        for row in plan_items(ability, items_per_kind, painter):
            question = {**row.inputs.question, "item_id": row.row_id}
            item = cast("ItemToAsk", {name: question[name] for name in _ITEM_COLUMNS & question.keys()})
            yield item, len(row.inputs.pictures)


def _plans(
    store: ParquetStore, settings: ReferenceSettings, planned: Sequence[PlannedRow[Question]], ledger_place: StatePlace
) -> Iterator[StagePlan]:
    partition: Partition = (planned[0].inputs.columns["checkpoint_id"],) if planned else ("",)
    there = store.read(REFERENCE_ANSWERS, partition, _ANSWER_COLUMNS) if partition != ("",) else None
    missing = {row.row_id for row in missing_rows(REFERENCE_ANSWERS, there, planned)}
    groups: dict[tuple[str, str], list[PlannedRow[Question]]] = {}
    for row in planned:
        columns = row.inputs.columns
        is_own = columns["benchmark"] in (PAINTED, PHOTOGRAPHS)
        groups.setdefault((columns["ability"] if is_own else "all", columns["benchmark"]), []).append(row)
    for (ability, benchmark), rows in groups.items():
        asked = [row for row in rows if row.row_id in missing]
        expected = partial(_expected, asked, settings)
        cost = forecast(settings.endpoint, ledger_place, expected)
        yield StagePlan(ability, benchmark, settings.title, len(rows), len(rows) - len(asked), cost)


def _expected(
    asked: Sequence[PlannedRow[Question]], settings: ReferenceSettings, ledger: Ledger | None
) -> Iterator[Expected]:
    return (Expected(reference_request(row, settings), LIKELY_TOKENS) for row in asked)
