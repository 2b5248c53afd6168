"""Asks reference models behind endpoints the questions that the base and the tuned model are asked.

A request holds the question as a chat template would get it, with the images in their places, and nothing else: no
instructions, no schema. What the model writes is scored like any answer.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import cast

from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.failing import failing_key
from stablellava_assets.endpoint.picture_parts import picture_part
from stablellava_assets.endpoint.requests import ChatOutcome, ChatRequest, Message, PlainAnswer, chat_request, unsent
from stablellava_assets.evaluation.answers.answer_rows import Question, correctness, plan_answer, rotations_of
from stablellava_assets.evaluation.answers.generation import Encoded, ImageQuestion, InvalidQuestionError, check_marks
from stablellava_assets.evaluation.answers.pictures import ItemPicture
from stablellava_assets.evaluation.settings import ReferenceSettings
from stablellava_assets.pictures.decoding import UndecodablePictureError, decoding, rendered_otherwise, upright
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.rows import PlannedRow
from stablellava_assets.tables.score_rows import AbilityAnswer, AnswerColumns, ItemToAsk, ReferenceAnswer
from stablellava_assets.tables.table import columns_of
from stablellava_assets.text.conversations import ChatMessage

STAGE = "references"
"""Of the requests in the ledger."""
LIKELY_TOKENS = 40
"""Of an answer, before any was given."""

_Planned = PlannedRow[Question]
_MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
"""Formats that endpoints take."""


def plan_reference_answers(
    checkpoint_id: str,
    settings: ReferenceSettings,
    items: Sequence[ItemToAsk],
    pictures: Mapping[str, Sequence[ItemPicture]],
) -> list[_Planned]:
    """Plan a reference model's answer to each question about each item.

    Args:
        checkpoint_id: the comparison that the answers are for. They are asked once, however many there are.
        settings: the model.
        items: the items that the base and the tuned model are asked.
        pictures: their images by item id.
    """
    endpoint = settings.endpoint
    asked_key = content_key(
        "asked endpoint", endpoint.model, endpoint.temperature, endpoint.extra_body, settings.picture_detail
    )
    failing = failing_key(endpoint)
    return [
        plan_answer(
            checkpoint_id,
            settings.title,
            asked_key,
            item,
            own,
            own,
            rotation,
            settings.max_output_tokens,
            failing,
        )
        for item in items
        for own in [pictures[item["item_id"]]]
        for rotation in rotations_of(item)
    ]


def reference_request(row: _Planned, settings: ReferenceSettings) -> ChatRequest:
    """The request for a planned answer.

    Raises:
        InvalidQuestionError: an image cannot be decoded, or images and marks differ in number; the item is named.
    """
    asked, name = row.inputs.asked, f"item {row.inputs.columns['item_id']}"
    check_marks(asked, name)
    return chat_request(
        settings.endpoint,
        stage=STAGE,
        messages=_messages(asked, settings, name),
        answer=PlainAnswer,
        max_output_tokens=settings.max_output_tokens,
        limit_setting=f"benchmark.references ({settings.title}): max_output_tokens",
    )


def ask_reference(
    planned: Sequence[_Planned],
    settings: ReferenceSettings,
    endpoint: ChatEndpoint,
    report: Callable[[str], None],
) -> Iterator[ReferenceAnswer]:
    """Yield ``reference_answers`` rows of one model as answers arrive. Images are read when their question is sent.

    Raises:
        EndpointError: no request can succeed with these settings; the message names the one to change.
        InvalidQuestionError: as for :func:`reference_request`.
    """
    waiting: dict[str, list[_Planned]] = {}
    told: set[str] = set()

    def requests() -> Iterator[ChatRequest]:
        for row in planned:
            request = reference_request(row, settings)
            waiting.setdefault(request.request_id, []).append(row)
            yield request

    for outcome in endpoint.ask(requests(), report):
        row = waiting[outcome.request_id].pop(0)
        yield _answered(row, outcome, first=outcome.request_id not in told)
        told.add(outcome.request_id)


def unasked(planned: Iterable[_Planned], reason: str) -> Iterator[ReferenceAnswer]:
    """Rows for questions that could not be sent; the next run tries again."""
    outcome = unsent(reason)
    return (_answered(row, outcome, first=True) for row in planned)


def comparable(rows: Iterable[ReferenceAnswer]) -> tuple[list[AbilityAnswer], list[AnswerColumns]]:
    """The answers for scoring and judging, and the questions that have none yet. A refusal is an empty answer."""
    answered, unanswered = [], []
    for row in rows:
        if row["correct"] is None:
            unanswered.append(cast("AnswerColumns", {name: row.get(name) for name in columns_of(AnswerColumns)}))
        else:
            kept = {name: row.get(name) for name in columns_of(AbilityAnswer)}
            answered.append(cast("AbilityAnswer", {**kept, "answer": row["answer"] or ""}))
    return answered, unanswered


def _messages(asked: ImageQuestion, settings: ReferenceSettings, name: str) -> list[Message]:
    images = (picture_part(*_sendable(image, name), settings.picture_detail) for image in asked.images)
    return [{"role": message["role"], "content": _content(message, images)} for message in asked.messages]


def _content(message: ChatMessage, images: Iterator[dict[str, object]]) -> str | list[dict[str, object]]:
    """The content of a message; text alone is sent as such, since some servers take no parts from the assistant."""
    parts = message["content"]
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return [next(images) if part["type"] == "image" else {**part} for part in parts]


def _sendable(image: Encoded, name: str) -> tuple[bytes, str]:
    """The file and its media type; as a PNG of the pixels that our models see, if others might see something else."""
    from PIL import Image

    encoded = image() if callable(image) else image
    try:
        with decoding(), Image.open(io.BytesIO(encoded)) as picture:
            media_type = _MEDIA_TYPES.get(picture.format or "")
            is_still = not getattr(picture, "is_animated", False)
        if media_type is not None and is_still and not rendered_otherwise(encoded):
            return encoded, media_type
        buffer = io.BytesIO()
        upright(encoded).save(buffer, "PNG")
    except UndecodablePictureError as error:
        raise InvalidQuestionError(f"the picture of {name} cannot be decoded: {error}") from error
    return buffer.getvalue(), "image/png"


def _answered(row: _Planned, outcome: ChatOutcome, *, first: bool) -> ReferenceAnswer:
    columns = row.inputs.columns
    text = outcome.answer.text if isinstance(outcome.answer, PlainAnswer) else None
    # One request may answer several equal questions; its tokens and cost are counted for the first of them.
    cost = outcome.cost_usd if first or outcome.cost_usd is None else Decimal(0)
    return {
        "answer_id": row.row_id,
        **columns,
        "answer": text,
        "correct": correctness(columns, text, outcome.fault),
        "answered_by": outcome.model,
        "prompt_tokens": outcome.prompt_tokens if first else 0,
        "completion_tokens": outcome.completion_tokens if first else 0,
        "cost_usd": None if cost is None else float(cost),
        "request_id": outcome.request_id,
        "row_key": row.row_key,
        "status": outcome.status,
        "reason": outcome.reason,
        "fault": outcome.fault,
        "settings_key": None,
    }
