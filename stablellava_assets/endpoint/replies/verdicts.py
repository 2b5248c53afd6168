"""Judge whether a reply answers its request, wherever in its text the answer stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from stablellava_assets.endpoint.replies.complaints import one_line
from stablellava_assets.endpoint.replies.replies import CUT_OFF, FILTERED, Reply
from stablellava_assets.endpoint.replies.thoughts import answer_beside_thoughts
from stablellava_assets.endpoint.requests import ChatRequest, ImageRequest, PlainAnswer
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.schemas import OF_ROW, OF_SETTING

_PROBLEMS_NAMED = 5
_MOST_OBJECTS_TRIED = 50
_IN_NO_JSON = re.compile(r'("(?:[^"\\\n]|\\.)*")|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.DOTALL)
"""What models write into JSON that is none of it: comments, and commas before a bracket; texts are kept whole."""


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
    finish = (reply.finish_reason or "").casefold()
    is_plain = request.answer is PlainAnswer
    try:
        if not (is_plain and finish in FILTERED):
            return Verdict(_parsed(request.answer, reply.text, cut_off=finish in CUT_OFF))
        invalid = ""
    except ValidationError as error:
        invalid = _problems(error)
    if finish in FILTERED:
        return Verdict(None, "the endpoint's content filter withheld the answer", OF_ROW)
    if finish in CUT_OFF:
        limit = f"{request.limit_setting} allows ({request.max_output_tokens} tokens for this request); raise it"
        if request.limit_setting is None:
            limit = f"max_output_tokens ({request.max_output_tokens})"
        unanswered = not answer_beside_thoughts(reply.text, cut_off=True).strip()
        thinking = ", all of them spent on thinking" if unanswered else ""
        return Verdict(None, f"cut off: the answer is longer than {limit}{thinking}", OF_SETTING)
    if isinstance(request, ImageRequest):
        return Verdict(None, "the answer holds no picture", OF_SETTING, is_empty=not reply.text.strip())
    if not reply.text.strip():
        return Verdict(None, "the answer is empty", OF_SETTING, repairable=not is_plain, is_empty=True)
    if is_plain:
        return Verdict(None, "the answer is nothing but thoughts", OF_SETTING)
    return Verdict(None, f"invalid answer: {invalid}", OF_SETTING, repairable=True)


@cache
def reader_key() -> str:
    """What answers are read by: another version of it reads those again that this one could not."""
    here = Path(__file__)
    return content_key(*(path.read_text(encoding="utf-8") for path in (here, here.with_name("thoughts.py"))))


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


def _parsed(answer: type[BaseModel], text: str, *, cut_off: bool) -> BaseModel:
    if answer is PlainAnswer:
        said = answer_beside_thoughts(text, cut_off=cut_off).strip()
        return PlainAnswer(text=said.encode(errors="replace").decode())
    try:
        return answer.model_validate_json(text)
    except ValidationError as error:
        first = error
    # Models without structured output like to think aloud first and to fence or introduce their JSON.
    text = _unquoted(answer_beside_thoughts(text, cut_off=cut_off))
    for reading in (text, _IN_NO_JSON.sub(r"\1", text)):
        fitting: BaseModel | None = None
        for document in _objects_in(reading):
            # Half a character (a lone surrogate) is none that a file can hold.
            whole = json.dumps(document, ensure_ascii=False).encode(errors="replace")
            try:
                fitting = answer.model_validate_json(whole)  # Drafts come before what is meant.
            except ValidationError as error:
                first = error
        if fitting is not None:
            return fitting
    raise first


def _unquoted(text: str) -> str:
    """A text that is JSON of a text: that one."""
    try:
        inner = json.loads(text) if text.lstrip().startswith('"') else None
    except (ValueError, RecursionError):
        return text
    return inner if isinstance(inner, str) else text


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
