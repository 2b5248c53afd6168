"""A request for text or for a picture, whose id covers everything that shapes its answer, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from stablellava_assets.endpoint.schemas import json_schema_of
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.schemas import DEFERRED, OF_ENDPOINT

Message = Mapping[str, object]
"""As the protocol has it: ``{"role": ..., "content": text or a list of parts}``."""


class EndpointError(ExplainedError, RuntimeError):
    """A fault of the whole stage, such as a wrong key; the message names the setting to check, and never the key."""


class PlainAnswer(BaseModel):
    """The answer to a request for a text in the model's own words, which may be cut off: no JSON is asked for."""

    text: str = Field(min_length=1)


@dataclass(frozen=True)
class ChatRequest:
    """A request whose answer is to be an ``answer``. Make one with :func:`chat_request`.

    ``stage`` says in the ledger what it was for; measured averages are kept by stage and model.
    ``repair_of`` is the request whose unusable answer this one shows to the model. ``limit_setting`` names the setting
    of a profile that ``max_output_tokens`` comes from.
    """

    request_id: str
    stage: str
    messages: Sequence[Message]
    answer: type[BaseModel]
    max_output_tokens: int
    repair_of: str | None = None
    limit_setting: str | None = None

    path: ClassVar[str] = "/chat/completions"
    """Where it is sent, below the endpoint's address."""
    mended_by: ClassVar[str] = (
        "check the endpoint's settings: structured_output, temperature, output_limit_field, extra_body"
    )
    """What to do where all requests of the kind are refused."""


class PictureAnswer(BaseModel):
    """The answer to an :class:`ImageRequest`: the encoded picture in base64, and the
    prompt as the endpoint changed it."""

    b64_json: str = Field(min_length=1)
    revised_prompt: str | None = None


@dataclass(frozen=True)
class ImageRequest(ChatRequest):
    """A request for one picture of the text of its only message. Make one with :func:`image_request`.

    ``fields`` are those of the body besides model, prompt and number.
    """

    fields: Mapping[str, object] = field(default_factory=dict)

    path: ClassVar[str] = "/images/generations"
    mended_by: ClassVar[str] = (
        "check the painter's settings: response_format, quality, width and height, seed_field, negative_prompt_field, "
        "endpoint.extra_body"
    )


@dataclass(frozen=True)
class EditRequest(ImageRequest):
    """A request for an edit of the file ``image``; its message says what to change.

    Make one with :func:`image_request`.
    """

    image: bytes = b""

    path: ClassVar[str] = "/images/edits"
    mended_by: ClassVar[str] = (
        f"check whether the endpoint edits images (painter.edit_groups); {ImageRequest.mended_by}"
    )


@dataclass(frozen=True)
class Refusal:
    """A request that the endpoint refused by its status: in which ``stage``, and what to ``mend`` if it refuses all."""

    stage: str
    mend: str


@dataclass(frozen=True)
class ChatOutcome:
    """How a request ended.

    MADE has an ``answer``. FAILED would fail again with the same inputs and settings; DEFERRED is worth another try,
    in the next run or once the budget allows it; ``fault`` says which of the two it is. ``refused`` is how the
    endpoint refused it, if it did. Tokens and ``cost_usd`` cover everything that was paid for this request, its
    repair included, now or in an earlier run; None is unknown. ``paid_usd`` is the part that this call paid: zero for
    an answer that the ledger had.
    """

    request_id: str
    status: str
    answer: BaseModel | None
    reason: str | None
    model: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: Decimal | None
    paid_usd: Decimal | None
    attempts: int
    fault: str | None = None
    refused: Refusal | None = None


def unsent(reason: str) -> ChatOutcome:
    """The outcome of a request that could not be sent, because of the endpoint; the next run tries again."""
    return ChatOutcome(
        request_id="",
        status=DEFERRED,
        answer=None,
        reason=reason,
        model=None,
        prompt_tokens=None,
        completion_tokens=None,
        cost_usd=None,
        paid_usd=None,
        attempts=0,
        fault=OF_ENDPOINT,
    )


def chat_request(
    settings: EndpointSettings,
    *,
    stage: str,
    messages: Sequence[Message],
    answer: type[BaseModel],
    max_output_tokens: int,
    sample: str = "",
    limit_setting: str | None = None,
) -> ChatRequest:
    """A request; its id is a hash of all that shapes the answer: endpoint, model, messages, schema, settings.

    ``sample`` tells apart requests that are otherwise the same but should be answered anew; it is not sent.
    ``limit_setting`` names where ``max_output_tokens`` is set, for whoever has to raise it.
    """
    unnamed = ChatRequest("", stage, messages, answer, max_output_tokens)
    key = content_key("chat request", settings.url, body_of(settings, unnamed), sample)
    return replace(unnamed, request_id=key, limit_setting=limit_setting)


def image_request(
    settings: EndpointSettings,
    *,
    stage: str,
    prompt: str,
    fields: Mapping[str, object],
    max_output_tokens: int,
    sample: str,
    edited: bytes | None = None,
) -> ImageRequest:
    """A request for a picture, or for an edit of the file ``edited``.

    Its id is a hash of endpoint, body and ``sample``. ``sample`` is not sent, and names the file that is edited.
    """
    messages = [{"role": "user", "content": prompt}]
    unnamed = ImageRequest("", stage, messages, PictureAnswer, max_output_tokens, fields=fields)
    if edited is not None:
        key = content_key("edit request", settings.url, body_of(settings, unnamed), sample)
        return EditRequest(key, stage, messages, PictureAnswer, max_output_tokens, fields=fields, image=edited)
    key = content_key("image request", settings.url, body_of(settings, unnamed), sample)
    return replace(unnamed, request_id=key)


def body_of(settings: EndpointSettings, request: ChatRequest) -> dict[str, Any]:
    """The request as the protocol has it, for its ``path``. The body of an edit holds a file and is sent as a form."""
    if isinstance(request, ImageRequest):
        prompt = request.messages[0]["content"]
        file = {"image": request.image} if isinstance(request, EditRequest) else {}
        return {"model": settings.model, "prompt": prompt, "n": 1, **request.fields, **settings.extra_body, **file}
    limit = settings.output_limit_field or ("max_completion_tokens" if settings.is_official else "max_tokens")
    messages = list(request.messages)
    body: dict[str, object] = {"model": settings.model, "messages": messages, limit: request.max_output_tokens}
    if settings.temperature is not None:
        body["temperature"] = settings.temperature
    if request.answer is PlainAnswer:
        return {**body, **settings.extra_body}
    schema = json_schema_of(request.answer, strict=settings.is_official)
    if settings.structured_output == "json_schema":
        named = {"name": request.answer.__name__, "schema": schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    else:
        body["messages"] = _asked_for_json(messages, schema)
        if settings.structured_output == "json_object":
            body["response_format"] = {"type": "json_object"}
    return {**body, **settings.extra_body}


def _asked_for_json(messages: Sequence[Message], schema: Mapping[str, object]) -> list[Message]:
    """The messages with the schema at the end of the last one, for endpoints that take no schema of its own."""
    wanted = f"Answer with one JSON object that fits this JSON schema, and nothing else:\n{json.dumps(schema)}"
    *before, last = messages
    content = last["content"]
    if isinstance(content, list):
        return [*before, {**last, "content": [*content, {"type": "text", "text": wanted}]}]
    return [*before, {**last, "content": f"{content}\n\n{wanted}"}]
