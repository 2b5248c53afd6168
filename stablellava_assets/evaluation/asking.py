"""Which questions the base and the tuned model are asked, and the rows that come of their answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stablellava_assets.evaluation.answering import Asked, answers_of
from stablellava_assets.evaluation.benchmark import PAINTED
from stablellava_assets.evaluation.choices import choice_question, rotated
from stablellava_assets.evaluation.scoring import is_correct
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.rows import PlannedRow, Row
from stablellava_assets.tables.schemas import MADE


def plan_answers(
    checkpoint: Mapping[str, Any], items: Iterable[Mapping[str, Any]], max_new_tokens: int
) -> list[PlannedRow]:
    """An answer of each model to each question about each item.

    Args:
        checkpoint: the ``llava_checkpoint`` row.
        items: ``ability_benchmark`` rows, or what ``read_suites`` reads; those that were not made are left out.
        max_new_tokens: longest answer, unless the item has one of its own.
    """
    made = [item for item in items if item["status"] == MADE]
    return [
        _plan(checkpoint, model, path, item, rotation, item.get("max_new_tokens", max_new_tokens))
        for model, path in (("base", checkpoint["base_path"]), ("tuned", checkpoint["path"]))
        for item in made
        for rotation in (range(len(item["options"])) if item["question_kind"] == "choice" else [None])
    ]


def _plan(
    checkpoint: Mapping[str, Any],
    model: str,
    path: str,
    item: Mapping[str, Any],
    rotation: int | None,
    max_new_tokens: int,
) -> PlannedRow:
    turned = () if rotation is None else (rotation,)
    # Painted items had their keys before answers could be longer; these must not change.
    limit = () if item["benchmark"] == PAINTED else (max_new_tokens,)
    answer_id = content_key("answer", checkpoint["checkpoint_id"], model, item["item_id"], *turned)
    options = rotated(item["options"], rotation or 0)
    question = item["question"] if rotation is None else choice_question(item["question"], options)
    copied = ("benchmark", "ability", "item_id", "question_kind", "accepted", "refused")
    columns = {
        "checkpoint_id": checkpoint["checkpoint_id"],
        "model": model,
        **{name: item[name] for name in copied},
        "question": question,
        "rotation": rotation,
        "options": options,
        "status": MADE,
        "reason": None,
    }
    asked = Asked(item["image"]["bytes"], question, max_new_tokens)
    key = content_key("answer row", answer_id, path, item["row_key"], *limit)
    return PlannedRow(answer_id, key, {"columns": columns, "asked": asked})


def ask_model(
    model: Path | str,
    planned: Sequence[PlannedRow],
    batch_size: int,
    max_new_tokens: int,
    progress: Callable[[str], None],
) -> Iterable[Row]:
    """``ability_answers`` rows of one model, a batch at a time, so that a killed run has kept what was answered.

    Raises:
        ValueError: a picture cannot be decoded; its item is named.
    """
    names = [f"item {row.inputs['columns']['item_id']}" for row in planned]
    for index, text in answers_of(
        model, [row.inputs["asked"] for row in planned], batch_size, max_new_tokens, progress, names
    ):
        row = planned[index]
        columns = row.inputs["columns"]
        yield {
            "answer_id": row.row_id,
            **columns,
            "answer": text,
            "correct": is_correct(
                text, columns["accepted"], columns["refused"], columns["question_kind"], columns["options"]
            ),
            "row_key": row.row_key,
        }
