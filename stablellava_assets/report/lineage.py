"""What the checkpoint was made from, as the tables tell it: rows an ability, reasons of rejection, who made what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stablellava_assets.tables.identity import pairs_key
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.schemas import DIALOGUES, FILTERED_PAIRS, IMAGES, MADE, PROMPT_SPECS, REJECTED_PAIRS
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.table import AnyTable

_MADE_TABLES = (PROMPT_SPECS, IMAGES, DIALOGUES)


@dataclass(frozen=True)
class AbilityRows:
    """An ability's published rows; prompts, pictures and dialogues are those that were made."""

    ability: str
    batches: Sequence[str]
    prompts: int
    pictures: int
    dialogues: int
    kept: int
    rejected: int


@dataclass(frozen=True)
class Maker:
    """Who made rows of a table: an author or painter, and the model or artwork it used, if any."""

    table: str
    name: str
    model: str | None
    rows: int


@dataclass(frozen=True)
class Lineage:
    """All that; ``unmade`` counts rows by table, status and reason, and ``pairs_key`` is that of the kept pairs."""

    abilities: Sequence[AbilityRows]
    reasons: Sequence[tuple[str, int]]
    makers: Sequence[Maker]
    unmade: Sequence[tuple[str, str, str, int]]
    pairs_key: str

    def is_of(self, checkpoint: Mapping[str, Any]) -> bool:
        """Whether the kept pairs still are those of a ``llava_checkpoint`` row; of earlier versions' rows only their number is known."""
        if checkpoint["pairs_key"] is None:
            return bool(checkpoint["pairs"] == self.total.kept)
        return bool(checkpoint["pairs_key"] == self.pairs_key)

    @property
    def total(self) -> AbilityRows:
        """The sums; its batches are those of any ability."""
        batches = sorted({batch for row in self.abilities for batch in row.batches})
        sums = {
            name: sum(getattr(row, name) for row in self.abilities)
            for name in ("prompts", "pictures", "dialogues", "kept", "rejected")
        }
        return AbilityRows("all", batches, **sums)


def lineage_of(store: ParquetStore) -> Lineage:
    """The lineage of what the tables hold now."""
    counts: Counter[tuple[str, str]] = Counter()
    batches: dict[str, set[str]] = {}
    judged: tuple[AnyTable, ...] = (FILTERED_PAIRS, REJECTED_PAIRS)
    for table in judged:
        for ability, batch in store.partitions(table):
            batches.setdefault(ability, set()).add(batch)
            counts[ability, table.name] += _rows(store, table, (ability, batch))
    of_maker: Counter[tuple[str, str, str | None]] = Counter()
    unmade: Counter[tuple[str, str, str]] = Counter()
    for table in _MADE_TABLES:
        who = "painter" if table is IMAGES else "author"
        rows = store.read_all(table, columns=["ability", who, "model", "status", "reason"])
        for row in rows.group_by(rows.column_names).aggregate([([], "count_all")]).to_pylist():
            if row["status"] == MADE:
                counts[row["ability"], table.name] += row["count_all"]
                of_maker[table.name, row[who], row["model"]] += row["count_all"]
            else:
                unmade[table.name, row["status"], row["reason"] or ""] += row["count_all"]
    return Lineage(
        abilities=[
            AbilityRows(
                ability,
                sorted(batches[ability]),
                *(counts[ability, table.name] for table in (*_MADE_TABLES, FILTERED_PAIRS, REJECTED_PAIRS)),
            )
            for ability in sorted(batches)
        ],
        reasons=_reasons(store.read_all(REJECTED_PAIRS, columns=["reasons"])),
        makers=[Maker(*key, count) for key, count in of_maker.items()],
        unmade=[(*key, count) for key, count in unmade.most_common()],
        pairs_key=pairs_key(texts_of(store.read_all(FILTERED_PAIRS, columns=["row_key"]), "row_key")),
    )


def _rows(store: ParquetStore, table: AnyTable, partition: tuple[str, str]) -> int:
    data = store.read(table, partition, [table.row_id])
    return 0 if data is None else int(data.num_rows)


def _reasons(rejected: pa.Table) -> list[tuple[str, int]]:
    found = Counter(map(str, pc.list_flatten(rejected["reasons"]).to_pylist()))
    return sorted(found.items(), key=lambda reason: (-reason[1], reason[0]))
