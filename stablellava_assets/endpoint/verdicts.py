"""Judge whether a reply answers its request, wherever in its text the answer stands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from stablellava_assets.endpoint.complaints import one_line
from stablellava_assets.endpoint.replies import CUT_OFF, END_OF_THOUGHTS, FILTERED, Reply
from stablellava_assets.endpoint.requests import ChatRequest, ImageRequest
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.schemas import OF_ROW, OF_SETTING

_PROBLEMS_NAMED = 5
_MOST_OBJECTS_TRIED = 50


@dataclass(frozen=True)
class Verdict:
    """Whether a reply answers its request: ``answer``, or else ``reason`` and whose ``fault`` that is.

    ``repairable`` if asking again may help; ``is_empty`` if there was nothing to read.
    """

    answer: BaseModel | None
    reason: str | None = None
    fault: str | None = None
    repairable: bool = False
    is_empty: bool = False


def judge(request: ChatRequest, reply: Reply) -> Verdict:
    """Validate a reply against ``request.answer``."""
    if reply.refusal is not None:
        return Verdict(None, f"refused: {one_line(reply.refusal)}", OF_ROW)
    try:
        return Verdict(_parsed(request.answer, reply.text))
    except ValidationError as error:
        invalid = _problems(error)
    finish = (reply.finish_reason or "").casefold()
    if finish in FILTERED:
        return Verdict(None, "the endpoint's content filter withheld the answer", OF_ROW)
    if finish in CUT_OFF:
        limit = f"{request.limit_setting} allows ({request.max_output_tokens} tokens for this request); raise it"
        if request.limit_setting is None:
            limit = f"max_output_tokens ({request.max_output_tokens})"
        thinking = ", all of them spent on thinking" if not reply.text.strip() else ""
        return Verdict(None, f"cut off: the answer is longer than {limit}{thinking}", OF_SETTING)
    if isinstance(request, ImageRequest):
        return Verdict(None, "the answer holds no picture", OF_SETTING)
    if not reply.text.strip():
        return Verdict(None, "the answer is empty", OF_SETTING, repairable=True, is_empty=True)
    return Verdict(None, f"invalid answer: {invalid}", OF_SETTING, repairable=True)


@cache
def reader_key() -> str:
    """What answers are read by: another version of it reads those again that this one could not."""
    return content_key(Path(__file__).read_text(encoding="utf-8"))


def repair_of(request: ChatRequest, reply: Reply, verdict: Verdict) -> ChatRequest:
    """The request that shows the model its own answer and what is wrong with it."""
    complaint = f"This cannot be used: {verdict.reason}.\nWrite the whole answer again, mended, as one JSON object and nothing else."
    messages = [
        *request.messages,
        {"role": "assistant", "content": reply.text or "{}"},
        {"role": "user", "content": complaint},
    ]
    return ChatRequest(
        content_key("repair", request.request_id),
        request.stage,
        messages,
        request.answer,
        request.max_output_tokens,
        repair_of=request.request_id,
        limit_setting=request.limit_setting,
    )


def _parsed(answer: type[BaseModel], text: str) -> BaseModel:
    try:
        return answer.model_validate_json(text)
    except ValidationError as error:
        first = error
    # Models without structured output like to think aloud first and to fence or introduce their JSON.
    after_thoughts = END_OF_THOUGHTS.split(text)[-1]
    fitting: BaseModel | None = None
    for document in _objects_in(after_thoughts if after_thoughts.strip() else text):
        try:
            fitting = answer.model_validate_json(json.dumps(document))  # Drafts come before what is meant.
        except ValidationError as error:
            first = error
    if fitting is None:
        raise first
    return fitting


def _objects_in(text: str) -> Iterator[Any]:
    """The JSON objects that stand in a text one after the other, and what a single key of one holds."""
    decoder, at, tried = json.JSONDecoder(strict=False), text.find("{"), 0
    while at >= 0 and tried < _MOST_OBJECTS_TRIED:
        tried += 1
        try:
            document, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            end = at + 1
        else:
            if len(document) == 1 and isinstance(inner := next(iter(document.values())), dict):
                yield inner
            yield document
        at = text.find("{", end)


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False)
    named = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'answer'}: {problem['msg']}"
        for problem in found[:_PROBLEMS_NAMED]
    ]
    more = [f"and {len(found) - _PROBLEMS_NAMED} more"] if len(found) > _PROBLEMS_NAMED else []
    return one_line("; ".join(named + more))
