"""Which questions the base and the tuned model are asked, and the rows that come of their answers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stablellava_assets.evaluation.answers.answering import Asked, answers_of
from stablellava_assets.evaluation.answers.choices import choice_question, rotated
from stablellava_assets.evaluation.scores.scoring import is_correct
from stablellava_assets.pictures.decoding import rendered_otherwise
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.row import Row
from stablellava_assets.tables.rows import PlannedRow, Refreshed
from stablellava_assets.tables.schemas import ABILITY_ANSWERS, MADE


def plan_answers(
    checkpoint: Mapping[str, Any], items: Iterable[Mapping[str, Any]], max_new_tokens: int, chat_template: str | None
) -> list[PlannedRow]:
    """An answer of each model to each question about each item.

    Args:
        checkpoint: the ``llava_checkpoint`` row.
        items: ``ability_benchmark`` rows, or what ``read_suites`` reads; those that were not made are left out.
        max_new_tokens: longest answer, unless the item has one of its own.
        chat_template: what both are asked in (see :func:`ask_model`).
    """
    made = [item for item in items if item["status"] == MADE]
    # Items of published benchmarks share the bytes of their pictures, which need to be hashed but once.
    pictures = {id(picture): picture for picture in (item["image"]["bytes"] for item in made)}
    keys = {place: hashlib.blake2b(picture, digest_size=16).hexdigest() for place, picture in pictures.items()}
    # What a model is shown of such pictures was another picture once.
    rendered = {place: set(rendered_otherwise(picture)) - {"turned"} for place, picture in pictures.items()}
    return [
        _plan(checkpoint, model, key, item, keys[place], rotation, max_new_tokens)
        for model, path in (("base", checkpoint["base_path"]), ("tuned", checkpoint["path"]))
        for asked_key in [content_key("asked", path, chat_template)]
        for item in made
        for place in [id(item["image"]["bytes"])]
        for key in [content_key(asked_key, sorted(rendered[place])) if rendered[place] else asked_key]
        for rotation in (range(len(item["options"])) if item["question_kind"] == "choice" else [None])
    ]


def _plan(
    checkpoint: Mapping[str, Any],
    model: str,
    asked_key: str,
    item: Mapping[str, Any],
    picture: str,
    rotation: int | None,
    max_new_tokens: int,
) -> PlannedRow:
    turned = () if rotation is None else (rotation,)
    answer_id = content_key("answer", checkpoint["checkpoint_id"], model, item["item_id"], *turned)
    limit = item.get("max_new_tokens", max_new_tokens)
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
        "picture": picture,
        "status": MADE,
        "reason": None,
    }
    asked = Asked(item["image"]["bytes"], question, limit)
    # What determines the text of an answer, not what makes it right: changing the keywords does not re-query the model.
    key = content_key("answer row", asked_key, picture, question, limit)
    return PlannedRow(answer_id, key, {"columns": columns, "asked": asked})


def taken_over(planned: Sequence[PlannedRow], earlier: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """Rows for what the same model was asked before, for another comparison: bases are shared by many checkpoints.

    Args:
        planned: what is to be answered.
        earlier: ``ability_answers`` rows of other checkpoints, with ``row_key`` and ``answer``.
    """
    known = {row["row_key"]: row["answer"] for row in earlier}
    return (_row(row, known[row.row_key]) for row in planned if row.row_key in known)


def ask_model(
    model: Path | str,
    planned: Sequence[PlannedRow],
    batch_size: int,
    max_new_tokens: int,
    progress: Callable[[str], None],
    chat_template: str | None = None,
) -> Iterator[Row]:
    """``ability_answers`` rows of one model, a batch at a time, so that a killed run has kept what was answered.

    Args:
        model: a folder, or a name on the hub.
        planned: what it is asked.
        batch_size: questions at once.
        max_new_tokens: longest answer, unless the question has a limit of its own.
        progress: gets a line now and then.
        chat_template: asked in instead of the model's own: the tuned checkpoint's, so that a system sentence which tuning
            added is said to its base as well.

    Raises:
        ValueError: a picture cannot be decoded; its item is named.
    """
    names = [f"item {row.inputs['columns']['item_id']}" for row in planned]
    questions = [row.inputs["asked"] for row in planned]
    for index, text in answers_of(model, questions, batch_size, max_new_tokens, progress, names, chat_template):
        yield _row(planned[index], text)


def _row(planned: PlannedRow, text: str) -> Row:
    columns = planned.inputs["columns"]
    return {
        "answer_id": planned.row_id,
        **columns,
        "answer": text,
        "correct": _is_correct(columns, text),
        "row_key": planned.row_key,
    }


def _is_correct(columns: Mapping[str, Any], text: str) -> bool:
    return is_correct(text, columns["accepted"], columns["refused"], columns["question_kind"], columns["options"])


def scored_anew(answers: Refreshed, planned: Sequence[PlannedRow]) -> Refreshed:
    """Answers that were given before, by the keywords and rules of today: for these nobody is asked again."""
    rows = [
        {**row, **plan.inputs["columns"], "correct": _is_correct(plan.inputs["columns"], row["answer"])}
        for row, plan in zip(answers.data.to_pylist(), planned, strict=True)
    ]
    data = ABILITY_ANSWERS.from_rows(rows)
    return replace(answers, data=data, unchanged=answers.unchanged and data.equals(answers.data))
