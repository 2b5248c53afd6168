"""Published tables of a scored checkpoint, of a test's own choice."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stablellava_assets.evaluation.scores.scoring import score_answers
from stablellava_assets.tables.identity import pairs_key
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.schemas import (
    ABILITY_ANSWERS,
    ABILITY_BENCHMARK,
    ABILITY_SCORES,
    DIALOGUES,
    FILTERED_PAIRS,
    LLAVA_CHECKPOINT,
    MADE,
)
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.table import AnyTable
from stablellava_assets_tests.filters.pairs import noise_png
from stablellava_assets_tests.published_pairs import animal, publish
from stablellava_assets_tests.tables.made_up import Row

ABILITIES = ("animal", "color", "plant", "scene")


def item(number: int, base: str, tuned: str, **changes: Any) -> Row:
    """A benchmark item with both models' answers; "koala" is right."""
    return {
        "item_id": f"item {number}",
        "benchmark": "ai",
        "ability": ABILITIES[number % len(ABILITIES)],
        "question_kind": "what",
        "question": f"Question {number}: what is it?",
        "accepted": ["koala"],
        "picture": noise_png(f"item {number}", 24),
        "base": base,
        "tuned": tuned,
        **changes,
    }


def mixed_items() -> list[Row]:
    """Forty fixed, four broken, eight right and four wrong both times, of four abilities and two kinds."""
    said = [("a tram", "a koala")] * 40 + [("a koala", "a tram")] * 4
    said += [("a koala", "a koala")] * 8 + [("a tram", "a bus")] * 4
    return [
        item(number, *both, question_kind="what" if number % 8 < 4 else "either_or") for number, both in enumerate(said)
    ]


def scored(
    root: Path, items: Sequence[Row], *, checkpoint: str = "c0ffee", costs: Mapping[str, Any] | None = None
) -> ParquetStore:
    """Tables in which ``checkpoint`` was tuned on three pairs, one more was rejected, and ``items`` were answered."""
    store = publish(root, [animal("koala"), animal("lynx"), animal("otter"), animal("owl", answer="A tram stops.")])
    dialogues = store.read(DIALOGUES, ("animal", "0001"))
    assert dialogues is not None
    if costs is not None:
        priced: list[Row] = [{**row, **costs} for row in dialogues.to_pylist()]
        store.publish(DIALOGUES, ("animal", "0001"), DIALOGUES.from_rows(priced))
    answers: list[Row] = [
        {
            **{
                name: row[name] for name in ("item_id", "benchmark", "ability", "question_kind", "question", "accepted")
            },
            "answer_id": f"{row['item_id']} {row.get('rotation')} {model}",
            "checkpoint_id": checkpoint,
            "model": model,
            "answer": row[model],
            "correct": "koala" in row[model],
            "rotation": row.get("rotation"),
        }
        for row in items
        for model in ("base", "tuned")
    ]
    for ability in {row["ability"] for row in items}:
        of_ability = [row for row in items if row["ability"] == ability]
        pictures = [{**row, "image": {"bytes": row["picture"], "path": None}} for row in of_ability]
        _publish(store, ABILITY_BENCHMARK, (ability,), pictures)
    _publish(store, ABILITY_ANSWERS, (checkpoint,), answers)
    _publish(store, ABILITY_SCORES, (checkpoint,), score_answers(answers))
    tuned = {
        "checkpoint_id": checkpoint,
        "path": f"models/llava-{checkpoint}",
        "base_path": "models/base",
        "model": "embedded",
        "pairs": 3,
        "images": 3,
        "parameters": 1234,
        "settings": '{"stage": {"passes": 1.0}, "seed": 0}',
        "seconds": 4.2,
        "created_at": datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC),
        "pairs_key": pairs_key(texts_of(store.read_all(FILTERED_PAIRS), "row_key")),
    }
    earlier = store.read_all(LLAVA_CHECKPOINT).to_pylist()
    _publish(store, LLAVA_CHECKPOINT, (), [*earlier, tuned])
    return store


def _publish(store: ParquetStore, table: AnyTable, partition: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Rows that may lack columns, which are null then, and may have more."""
    nothing = dict.fromkeys(table.schema.names) | ({"status": MADE} if "status" in table.schema.names else {})
    complete: list[Row] = [{**nothing, **{name: row[name] for name in nothing.keys() & row.keys()}} for row in rows]
    store.publish(table, partition, table.from_rows(complete))
