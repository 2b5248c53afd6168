"""Read what an endpoint sent back, and judge whether it answers the request."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ValidationError

from stablellava_assets.endpoint.prices import Price
from stablellava_assets.endpoint.requests import ChatRequest, EndpointError, ImageRequest
from stablellava_assets.tables.identity import content_key

_THOUGHTS = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)
_LONGEST_REASON = 300
_PROBLEMS_NAMED = 5


class UnreadableReplyError(ValueError):
    """What came back is not a chat completion: half of one, no JSON, or JSON of another shape."""


@dataclass(frozen=True)
class Reply:
    """A chat completion, reduced to what counts. Token counts are None where the endpoint did not say."""

    text: str
    refusal: str | None
    finish_reason: str | None
    model: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int = 0
    pictures: int = 0
    """Pictures made; a price by the picture counts them instead of the tokens."""

    def cost(self, price: Price | None) -> Decimal | None:
        """US dollars; None where the price or a token count is unknown."""
        if price is not None and self.pictures and price.picture is not None:
            return self.pictures * price.picture
        if price is None or self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return price.cost(self.prompt_tokens, self.completion_tokens, self.cached_tokens)


@dataclass(frozen=True)
class Verdict:
    """Whether a reply answers its request: ``answer``, or else ``reason``; ``repairable`` if asking again may help."""

    answer: BaseModel | None
    reason: str | None = None
    repairable: bool = False


def read_reply(body: str) -> Reply:
    """A chat completion from the text of its response.

    Raises:
        UnreadableReplyError: it is none.
    """
    try:
        completion = json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableReplyError("the response is not JSON") from None
    return reply_of(completion)


def reply_of(completion: Any) -> Reply:
    """A chat completion from the JSON of its response.

    Raises:
        UnreadableReplyError: it is none.
    """
    try:
        choice = completion["choices"][0]
        message = choice["message"]
        text, refusal = message.get("content"), message.get("refusal")
        usage = completion.get("usage") or {}
        details = usage.get("prompt_tokens_details") or {}
        return Reply(
            text=_text(text) or "",
            refusal=_text(refusal) or None,
            finish_reason=_text(choice.get("finish_reason")),
            model=_text(completion.get("model")),
            prompt_tokens=_count(usage.get("prompt_tokens")),
            completion_tokens=_count(usage.get("completion_tokens")),
            cached_tokens=_count(details.get("cached_tokens")) or 0,
        )
    except (KeyError, IndexError, TypeError, AttributeError):
        raise UnreadableReplyError("the response is JSON, but no chat completion") from None


def read_picture(body: str) -> Reply:
    """An answer to a request for a picture, from the text of its response; its text is that of a ``PictureAnswer``.

    Raises:
        UnreadableReplyError: it is none.
        EndpointError: it holds an address where the picture should be.
    """
    try:
        response = json.loads(body)
        (picture,) = response["data"]
        usage = response.get("usage") or {}
        encoded, address = _text(picture.get("b64_json")), picture.get("url")
        if not encoded and address:
            raise EndpointError(
                "the endpoint answers with the address of a picture instead of the picture: set painter.response_format to "
                "b64_json"
            )
        return Reply(
            text=json.dumps({"b64_json": encoded or "", "revised_prompt": _text(picture.get("revised_prompt"))}),
            refusal=None,
            finish_reason=None,
            model=_text(response.get("model")),
            prompt_tokens=_count(usage.get("input_tokens")),
            completion_tokens=_count(usage.get("output_tokens")),
            pictures=1,
        )
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise UnreadableReplyError("the response is not JSON with one picture") from None


def judge(request: ChatRequest, reply: Reply) -> Verdict:
    """Validate a reply against ``request.answer``."""
    if reply.refusal is not None:
        return Verdict(None, f"refused: {one_line(reply.refusal)}")
    try:
        return Verdict(_parsed(request.answer, reply.text))
    except ValidationError as error:
        invalid = _problems(error)
    if reply.finish_reason == "content_filter":
        return Verdict(None, "the endpoint's content filter withheld the answer")
    if reply.finish_reason == "length":
        return Verdict(None, f"cut off: the answer is longer than max_output_tokens ({request.max_output_tokens})")
    if isinstance(request, ImageRequest):
        return Verdict(None, "the answer holds no picture")
    if not reply.text.strip():
        return Verdict(None, "the answer is empty", repairable=True)
    return Verdict(None, f"invalid answer: {invalid}", repairable=True)


def repair_of(request: ChatRequest, reply: Reply, verdict: Verdict) -> ChatRequest:
    """The request that shows the model its own answer and what is wrong with it."""
    complaint = f"This cannot be used: {verdict.reason}.\nWrite the whole answer again, mended, as one JSON object and nothing else."
    messages = [
        *request.messages,
        {"role": "assistant", "content": reply.text or "{}"},
        {"role": "user", "content": complaint},
    ]
    repair_id = content_key("repair", request.request_id)
    return ChatRequest(
        repair_id, request.stage, messages, request.answer, request.max_output_tokens, request.request_id
    )


def one_line(text: str) -> str:
    """Foreign text as a short line that is safe to log: no control characters, no line breaks."""
    printable = "".join(character if character.isprintable() else " " for character in text[: 4 * _LONGEST_REASON])
    line = " ".join(printable.split())
    return line if len(line) <= _LONGEST_REASON else f"{line[: _LONGEST_REASON - 3]}..."


def _parsed(answer: type[BaseModel], text: str) -> BaseModel:
    try:
        return answer.model_validate_json(text)
    except ValidationError:
        # Models without structured output like to think aloud first and to fence or introduce their JSON.
        bare = _THOUGHTS.sub("", text)
        start, end = bare.find("{"), bare.rfind("}")
        if start < 0 or end < start or (bare := bare[start : end + 1]) == text.strip():
            raise
        return answer.model_validate_json(bare)


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False)
    named = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'answer'}: {problem['msg']}"
        for problem in found[:_PROBLEMS_NAMED]
    ]
    more = [f"and {len(found) - _PROBLEMS_NAMED} more"] if len(found) > _PROBLEMS_NAMED else []
    return one_line("; ".join(named + more))


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, list):
        value = "".join(part["text"] for part in value if isinstance(part, Mapping) and part.get("type") == "text")
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} instead of text")
    # JSON may hold half a character (a lone surrogate), which no file can.
    return value.encode(errors="replace").decode()


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
