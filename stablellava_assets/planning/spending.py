"""What a run would ask of paid models, and what that would cost, before it is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import pyarrow as pa

from stablellava_assets.abilities.brief import Brief
from stablellava_assets.abilities.catalog import AnyAbility, Catalog, briefed
from stablellava_assets.abilities.multi_image import MultiImageAbility
from stablellava_assets.abilities.prompt_format import parse_prompt
from stablellava_assets.authors.base import Author
from stablellava_assets.endpoint.usage import Forecast
from stablellava_assets.painters.best_of import AnyPainter
from stablellava_assets.tables.identity import derive_seed
from stablellava_assets.tables.pair_rows import PaintedImage, PromptSpec, WrittenSpec
from stablellava_assets.tables.reading import was_written
from stablellava_assets.tables.rows import AnyPlanned, settled
from stablellava_assets.tables.schemas import DIALOGUES, IMAGES, MADE, PROMPT_SPECS
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets.tables.table import AnyTable, RowT, columns_of, rows_of

_NEEDED = ("row_key", "status", "fault", "settings_key")
"""Columns that tell whether a row would have to be made again."""
_NO_BRIEFS: Mapping[Partition, Brief | None] = MappingProxyType({})


class _Image(PaintedImage):
    row_key: str
    status: str
    fault: str | None
    settings_key: str | None


@dataclass(frozen=True)
class StagePlan:
    """One stage of one partition: its rows, how many of them are there already, and what the others would take."""

    ability: str
    batch: str
    stage: str
    rows: int
    reused: int
    forecast: Forecast


def spending_plan(
    store: ParquetStore,
    catalog: Catalog,
    author: Author,
    painter: AnyPainter,
    sizes: Mapping[Partition, int],
    briefs: Mapping[Partition, Brief | None] = _NO_BRIEFS,
) -> list[StagePlan]:
    """Plan the stages of partitions that ask a model which may cost something: the chat
    author's, and the api painter's.

    Pictures that are yet to be painted are taken to succeed, and prompts that are yet to be written to look like the
    ability's examples.

    Args:
        store: the published tables.
        catalog: the abilities.
        author: who writes.
        painter: who paints.
        sizes: the partitions with their numbers of prompts.
        briefs: what they have more of.

    Raises:
        KeyError: an ability that the catalog does not have.
    """
    if author.forecast([]) is None and painter.forecast([]) is None:
        return []
    return [
        plan
        for partition, rows in sizes.items()
        for ability in [briefed(catalog[partition[0]], briefs.get(partition))]
        for plan in _stages(store, ability, author, painter, partition, rows)
    ]


def _stages(
    store: ParquetStore, ability: AnyAbility, author: Author, painter: AnyPainter, partition: Partition, rows: int
) -> list[StagePlan]:
    _, batch = partition
    prompts = author.plan_prompts(ability, batch, rows)
    published = store.read(PROMPT_SPECS, partition)
    open_prompts = missing_rows(PROMPT_SPECS, published, prompts)
    kept = {row.row_id for row in prompts} - {row.row_id for row in open_prompts}
    written = {row["spec_id"]: row for row in _rows(PromptSpec, published) if row["spec_id"] in kept}
    of_prompts = author.forecast(open_prompts)
    if of_prompts is None:  # Then they cost nothing, and what is to be painted is known.
        written |= {row["spec_id"]: row for row in author.write_prompts(open_prompts)}
    specs = {
        row.row_id: spec
        for number, row in enumerate(prompts)
        if (spec := _spec(ability, batch, row.row_id, number, written)) is not None
    }
    plans = []

    def add(
        table: AnyTable, planned: Sequence[AnyPlanned], missing: Sequence[AnyPlanned], forecast: Forecast | None
    ) -> None:
        if forecast is not None:
            plans.append(
                StagePlan(ability.ability, batch, table.name, len(planned), len(planned) - len(missing), forecast)
            )

    add(PROMPT_SPECS, prompts, open_prompts, of_prompts)
    images_there = store.read(IMAGES, partition, columns_of(_Image))
    if painter.forecast([]) is not None:
        images = painter.plan(list(specs.values()))
        open_images = missing_rows(IMAGES, images_there, images)
        add(IMAGES, images, open_images, painter.forecast(open_images))
    if of_prompts is not None:
        pictures = {row["spec_id"]: row for row in _rows(_Image, images_there)}
        painted_of = {spec_id: image for spec_id, image in pictures.items() if image["status"] == MADE}
        painted: list[tuple[WrittenSpec, PaintedImage]] = [
            (spec, painted_of.get(spec_id) or _stand_in_picture(spec_id))
            for spec_id, spec in specs.items()
            if spec_id not in written or spec_id not in pictures or spec_id in painted_of
        ]
        dialogues = author.plan_dialogues(ability, painted)
        open_dialogues = missing_rows(DIALOGUES, store.read(DIALOGUES, partition, ["pair_id", *_NEEDED]), dialogues)
        add(DIALOGUES, dialogues, open_dialogues, author.forecast(open_dialogues))
    return plans


def missing_rows(table: AnyTable, published: pa.Table | None, planned: Sequence[AnyPlanned]) -> list[AnyPlanned]:
    """The planned rows that would have to be made."""
    if published is None:
        return list(planned)
    kept = settled(table, published, planned)
    return [row for row in planned if (row.row_id, row.row_key) not in kept]


def _rows(kind: type[RowT], data: pa.Table | None) -> list[RowT]:
    return [] if data is None else rows_of(kind, data)


def _spec(
    ability: AnyAbility, batch: str, spec_id: str, number: int, written: dict[str, PromptSpec]
) -> WrittenSpec | None:
    """The published prompt, None if it failed; or one as the ability's examples have it."""
    if spec_id in written:
        published = written[spec_id]
        return published if was_written(published) else None
    examples = [prompt for group in ability.chat.examples for prompt in ([group] if isinstance(group, str) else group)]
    example = examples[number % len(examples)]
    prompt = parse_prompt(example)
    count = ability.images.count if isinstance(ability, MultiImageAbility) else None
    return {
        "spec_id": spec_id,
        "ability": ability.ability,
        "batch": batch,
        "prompt": example,
        "negative_prompt": ability.negative_prompt,
        "seed": derive_seed(spec_id),
        "subject": prompt.subject,
        "keywords": prompt.keywords,
        "facts": [{"name": "subject", "value": prompt.subject}],
        "author": "",
        "template_version": "",
        "group_id": None if count is None else f"{batch} {number // count}",
        "image_number": None if count is None else number % count + 1,
    }


def _stand_in_picture(spec_id: str) -> PaintedImage:
    return {"image_id": spec_id, "spec_id": spec_id, "sha256": "", "ignored_keywords": []}
