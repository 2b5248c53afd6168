"""What a checkpoint was made from: rows per ability, reasons for rejection, and producers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import pyarrow as pa

from stablellava_assets.tables.findings import REJECTS, StoredFinding, rules_with
from stablellava_assets.tables.identity import pairs_key
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.schemas import DIALOGUES, FILTERED_PAIRS, IMAGES, MADE, PROMPT_SPECS, REJECTED_PAIRS
from stablellava_assets.tables.score_rows import Checkpoint
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.table import AnyTable, rows_of

_MADE_TABLES = (PROMPT_SPECS, IMAGES, DIALOGUES)


class _Judged(TypedDict):
    findings: list[StoredFinding]


class _Counted(TypedDict):
    ability: str
    maker: str
    model: str | None
    status: str
    reason: str | None
    count_all: int


@dataclass(frozen=True)
class AbilityRows:
    """An ability's published rows; prompts, images and dialogues count only if they were made."""

    ability: str
    batches: Sequence[str]
    prompts: int
    pictures: int
    dialogues: int
    kept: int
    rejected: int


@dataclass(frozen=True)
class Producer:
    """What made rows of a table: an author or painter, and its model or artwork, if any."""

    table: str
    name: str
    model: str | None
    rows: int


@dataclass(frozen=True)
class Lineage:
    """The lineage of a checkpoint; ``unmade`` counts rows by table, status and reason, and
    ``pairs_key`` is that of the kept pairs."""

    abilities: Sequence[AbilityRows]
    reasons: Sequence[tuple[str, int]]
    makers: Sequence[Producer]
    unmade: Sequence[tuple[str, str, str, int]]
    pairs_key: str

    def is_of(self, checkpoint: Checkpoint) -> bool:
        """Whether the kept pairs are still those of a ``llava_checkpoint`` row. Rows of earlier
        versions only record their number."""
        if checkpoint["pairs_key"] is None:
            return checkpoint["pairs"] == self.total.kept
        return checkpoint["pairs_key"] == self.pairs_key

    @property
    def total(self) -> AbilityRows:
        """The totals over abilities; the batches are those of any ability."""
        batches = sorted({batch for row in self.abilities for batch in row.batches})
        sums = {
            name: sum(getattr(row, name) for row in self.abilities)
            for name in ("prompts", "pictures", "dialogues", "kept", "rejected")
        }
        return AbilityRows("all", batches, **sums)


def lineage_of(store: ParquetStore) -> Lineage:
    """The lineage of the current rows of the tables."""
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
        who = "painter" if "painter" in table.schema.names else "author"
        rows = store.read_all(table, columns=["ability", who, "model", "status", "reason"])
        rows = rows.rename_columns(["ability", "maker", "model", "status", "reason"])
        for row in rows_of(_Counted, rows.group_by(rows.column_names).aggregate([([], "count_all")])):
            if row["status"] == MADE:
                counts[row["ability"], table.name] += row["count_all"]
                of_maker[table.name, row["maker"], row["model"]] += row["count_all"]
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
        reasons=_reasons(store.read_all(REJECTED_PAIRS, columns=["findings"])),
        makers=[Producer(*key, count) for key, count in of_maker.items()],
        unmade=[(*key, count) for key, count in unmade.most_common()],
        pairs_key=pairs_key(texts_of(store.read_all(FILTERED_PAIRS, columns=["row_key"]), "row_key")),
    )


def _rows(store: ParquetStore, table: AnyTable, partition: tuple[str, str]) -> int:
    data = store.read(table, partition, [table.row_id])
    return 0 if data is None else int(data.num_rows)


def _reasons(rejected: pa.Table) -> list[tuple[str, int]]:
    rows = rows_of(_Judged, rejected)
    found = Counter(rule for row in rows for rule in rules_with(REJECTS, row["findings"]))
    return sorted(found.items(), key=lambda reason: (-reason[1], reason[0]))
