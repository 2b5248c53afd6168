"""The questions for the base and the tuned model, and the rows of their answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypedDict

from stablellava_assets.evaluation.answers.choices import choice_question, rotated
from stablellava_assets.evaluation.answers.controls import controls_of, shown_to, swapped_pictures
from stablellava_assets.evaluation.answers.generation import ImageQuestion, batches_of_answers
from stablellava_assets.evaluation.answers.pictures import ItemPicture
from stablellava_assets.evaluation.benchmark import DIAGNOSIS
from stablellava_assets.evaluation.kinds import COMPARED, CONTROLS, TUNED
from stablellava_assets.evaluation.scores.scoring import is_correct
from stablellava_assets.evaluation.scores.several_images import asks_about_several
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.reading import is_same
from stablellava_assets.tables.rows import PlannedRow, Refreshed
from stablellava_assets.tables.schemas import ABILITY_ANSWERS, MADE, OF_ROW
from stablellava_assets.tables.score_rows import AbilityAnswer, AnswerColumns, Checkpoint, ItemToAsk
from stablellava_assets.tables.table import AnyTable


@dataclass(frozen=True)
class Question:
    """Input to a model, and the columns of its answer's row that are known in advance."""

    columns: AnswerColumns
    asked: ImageQuestion


class EarlierAnswer(TypedDict):
    """The columns that decide whether an answer can be reused."""

    row_key: str
    answer: str


def plan_answers(
    checkpoint: Checkpoint,
    items: Sequence[ItemToAsk],
    pictures: Mapping[str, Sequence[ItemPicture]],
    max_new_tokens: int,
    chat_template: str | None,
    *,
    controlled: Collection[str],
) -> list[PlannedRow[Question]]:
    """Plan an answer of each model, and of each control that an item has, to each question about each item.

    Only the tuned model is asked about items for its diagnosis.

    Args:
        checkpoint: the ``llava_checkpoint`` row.
        items: ``ability_benchmark`` rows that were made, or the items from ``read_suites``.
        pictures: their images by item id.
        max_new_tokens: maximum answer length for items without a limit of their own.
        chat_template: template for both models (see :func:`ask_model`).
        controlled: the kinds of question that the tuned model is also asked without the right images.
    """
    with_controls = [item for item in items if item["question_kind"] in controlled and item["benchmark"] != DIAGNOSIS]
    swapped = swapped_pictures(with_controls, pictures)
    controls = {
        item["item_id"]: controls_of(item["item_id"], pictures[item["item_id"]], swapped) for item in with_controls
    }
    return [
        plan_answer(
            checkpoint["checkpoint_id"],
            model,
            asked_key,
            item,
            own,
            shown,
            rotation,
            item.get("max_new_tokens", max_new_tokens),
        )
        for model in (*COMPARED, *CONTROLS)
        for asked_key in [content_key("asked", checkpoint[path_of(model)], chat_template)]
        for item in items
        if model == TUNED
        or (model in controls.get(item["item_id"], ()) if model in CONTROLS else item["benchmark"] != DIAGNOSIS)
        for own in [pictures[item["item_id"]]]
        for shown in [shown_to(model, item["item_id"], own, swapped)]
        for rotation in rotations_of(item)
    ]


def rotations_of(item: ItemToAsk) -> Sequence[int | None]:
    """How a question is asked: once, or a choice in so many rotations of its options."""
    if item["question_kind"] != "choice":
        return [None]
    return range(len(item["options"]) if item.get("circular", True) else 1)


def path_of(model: str) -> Literal["base_path", "path"]:
    """The checkpoint's column with the folder of a model; the controls are the tuned model."""
    return "base_path" if model == "base" else "path"


def plan_answer(
    checkpoint_id: str,
    model: str,
    asked_key: str,
    item: ItemToAsk,
    pictures: Sequence[ItemPicture],
    shown: Sequence[ItemPicture],
    rotation: int | None,
    limit: int,
    settings_key: str | None = None,
) -> PlannedRow[Question]:
    """Plan an answer of one model to one question.

    Args:
        checkpoint_id: the comparison that the answer is for.
        model: who answers, as the tables name it.
        asked_key: a hash of what the model is and how it is asked.
        item: the question's item.
        pictures: its images.
        shown: the images that the model gets.
        rotation: of its options.
        limit: maximum answer length in tokens.
        settings_key: see :class:`PlannedRow`.
    """
    turned = () if rotation is None else (rotation,)
    answer_id = content_key("answer", checkpoint_id, model, item["item_id"], *turned)
    options = rotated(item["options"], rotation or 0)
    question = item["question"] if rotation is None else choice_question(item["question"], options)
    columns: AnswerColumns = {
        "checkpoint_id": checkpoint_id,
        "model": model,
        "benchmark": item["benchmark"],
        "ability": item["ability"],
        "item_id": item["item_id"],
        "question_kind": item["question_kind"],
        "accepted": item["accepted"],
        "refused": item["refused"],
        "question": question,
        "rotation": rotation,
        "options": options,
        "picture": _picture_key(pictures),
        "accepted_groups": item.get("accepted_groups"),
        "in_order": item.get("in_order"),
        "history": item.get("history"),
    }
    history = tuple(item.get("history") or ())
    first, *further = (picture.encoded for picture in shown)
    asked = ImageQuestion(first, question, limit, tuple(further), history)
    # Hashes what determines the text of an answer, not its correctness: changing the keywords
    # does not re-query the model.
    rendered = [picture.rendered for picture in shown]
    if any(rendered):
        asked_key = content_key(asked_key, *rendered)
    key = content_key("answer row", asked_key, _picture_key(shown), question, limit, *history)
    return PlannedRow(answer_id, key, Question(columns, asked), settings_key)


def _picture_key(pictures: Sequence[ItemPicture]) -> str:
    return pictures[0].key if len(pictures) == 1 else content_key("pictures", *(picture.key for picture in pictures))


def reused_answers(
    planned: Sequence[PlannedRow[Question]], earlier: Iterable[EarlierAnswer]
) -> Iterator[AbilityAnswer]:
    """Rows for questions that the same model answered in another comparison; many checkpoints share a base.

    Args:
        planned: the planned answers.
        earlier: ``ability_answers`` rows of other checkpoints.
    """
    known = {row["row_key"]: row["answer"] for row in earlier}
    return (_row(row, known[row.row_key]) for row in planned if row.row_key in known)


def ask_model(
    model: Path | str,
    planned: Sequence[PlannedRow[Question]],
    batch_size: int,
    max_new_tokens: int,
    progress: Callable[[str], None],
    chat_template: str | None = None,
) -> Iterator[list[AbilityAnswer]]:
    """Yield ``ability_answers`` rows of one model batch by batch, so that an interrupted run keeps its answers.

    Args:
        model: a folder, or a name on the hub.
        planned: the questions.
        batch_size: questions per batch.
        max_new_tokens: maximum answer length for questions without a limit of their own.
        progress: receives progress lines.
        chat_template: used instead of the model's own: that of the tuned checkpoint, so that its base also gets a
            system message that tuning added.

    Raises:
        ValueError: an image cannot be decoded; its item is named.
    """
    names = [f"item {row.inputs.columns['item_id']}" for row in planned]
    questions = [row.inputs.asked for row in planned]
    for batch in batches_of_answers(model, questions, batch_size, max_new_tokens, progress, names, chat_template):
        yield [_row(planned[index], text) for index, text in batch]


def _row(planned: PlannedRow[Question], text: str) -> AbilityAnswer:
    columns = planned.inputs.columns
    return {
        "answer_id": planned.row_id,
        **columns,
        "answer": text,
        "correct": is_right(columns, text),
        "row_key": planned.row_key,
        "status": MADE,
        "reason": None,
    }


def correctness(columns: AnswerColumns, text: str | None, fault: str | None = None) -> bool | None:
    """Whether an answer is right by the keywords of its row.

    None if there is none, unless ``fault`` says that this is the model's own doing: a refusal is no right answer.
    """
    if text is None:
        return False if fault == OF_ROW else None
    return is_right(columns, text)


def is_right(columns: AnswerColumns, text: str) -> bool:
    """Score an answer by the keywords of its row's columns."""
    refused, options = columns["refused"] or (), columns["options"] or ()
    groups, in_order = columns.get("accepted_groups") or (), bool(columns.get("in_order"))
    return is_correct(
        text,
        columns["accepted"],
        refused,
        columns["question_kind"],
        options,
        groups=groups,
        in_order=in_order,
        several_images=asks_about_several(columns),
    )


def rescored(
    answers: Refreshed, planned: Sequence[PlannedRow[Question]], table: AnyTable = ABILITY_ANSWERS
) -> Refreshed:
    """Score existing answers again with the current keywords and rules, without querying a model.

    ``table`` is that of the answers.
    """
    rows = [
        {
            **row,
            **plan.inputs.columns,
            "correct": correctness(plan.inputs.columns, row["answer"], row.get("fault")),
        }
        for row, plan in zip(table.rows(answers.data), planned, strict=True)
    ]
    data = table.from_rows(rows)
    return replace(answers, data=data, unchanged=answers.unchanged and is_same(data, answers.data))
