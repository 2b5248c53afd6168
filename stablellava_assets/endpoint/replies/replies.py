"""Read what an endpoint sent back, as servers of all makes send it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from stablellava_assets.endpoint.prices import Price
from stablellava_assets.endpoint.replies.complaints import Complaint, complaint_at, complaint_in, complaint_of, one_line
from stablellava_assets.endpoint.replies.streams import joined_stream
from stablellava_assets.endpoint.replies.thoughts import answer_beside_thoughts
from stablellava_assets.endpoint.replies.token_counts import TokenCounts
from stablellava_assets.endpoint.requests import EndpointError

CUT_OFF = {"length", "max_tokens", "max_output_tokens", "model_length", "max_length"}
FILTERED = {"content_filter", "safety", "prohibited_content", "recitation", "blocklist", "spii", "sensitive"}
_GAVE_UP = {
    "error",
    "abort",
    "aborted",
    "cancelled",
    "insufficient_system_resource",
    "network_error",
    "server_error",
    "load",
    "malformed_function_call",
}
"""How an endpoint names, as the reason why an answer ended, that it is none."""


class UnreadableReplyError(ValueError):
    """What came back is not a chat completion: half of one, no JSON, or JSON of another shape."""


class ComplaintError(ValueError):
    """What came back is an error in the place of an answer. ``charged``: something was
    written, and may have to be paid."""

    def __init__(self, complaint: Complaint, *, charged: bool = False) -> None:
        super().__init__(str(complaint))
        self.complaint = complaint
        self.charged = charged


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


def read_reply(body: str) -> Reply:
    """A chat completion from the text of its response, sent whole or as a stream of events.

    Raises:
        ComplaintError: it is an error.
        UnreadableReplyError: it is none.
    """
    return reply_of(_document(body))


def reply_of(completion: Any) -> Reply:
    """A chat completion from the JSON of its response.

    Raises:
        ComplaintError: it is an error, or holds one where the answer should be.
        UnreadableReplyError: it is none.
    """
    if isinstance(completion, str):
        completion = _document(completion)
    choice = _first_choice(completion)
    if choice is None:
        if (complaint := complaint_of(completion)) is not None:
            raise ComplaintError(complaint)
        raise UnreadableReplyError(f"the response is JSON, but no chat completion: {_shown(completion)}")
    message = choice.get("message") or choice.get("delta") or {}
    message = message if isinstance(message, Mapping) else {"content": message}
    usage = TokenCounts(completion.get("usage"))
    finish = _finish_reason(choice)
    text, refusal = _answer_in(choice, message, finish), _refusal_in(message)
    if (complaint := _complaint_beside(completion, choice, message, finish, bool(text.strip() or refusal))) is not None:
        raise ComplaintError(complaint, charged=bool(usage.completion_tokens))
    return Reply(
        text=text,
        refusal=refusal or None,
        finish_reason=finish,
        model=_text(completion.get("model")) or None,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
    )


def read_picture(body: str) -> Reply:
    """An answer to a request for a picture, from the text of its response; its text is that of a ``PictureAnswer``, or
    empty where it holds no picture.

    Raises:
        ComplaintError: it is an error, or holds one where the picture should be.
        UnreadableReplyError: it is none.
        EndpointError: it holds an address where the picture should be.
    """
    response = _document(body)
    entries = _pictures_in(response)
    if not entries:
        if (complaint := complaint_of(response)) is not None:
            raise ComplaintError(complaint)
        raise UnreadableReplyError(f"the response is not JSON with a picture: {_shown(response)}")
    entry = next((entry for entry in entries if entry.get("b64_json") or entry.get("url")), entries[0])
    encoded, address = _text(entry.get("b64_json")) or "", _text(entry.get("url")) or ""
    if encoded.startswith(("http://", "https://")):
        encoded, address = "", encoded
    if not encoded and address.lstrip()[:5].lower() == "data:":
        encoded, address = address, ""
    if not encoded and address:
        raise EndpointError(
            "the endpoint answers with the address of a picture instead of the picture: set painter.response_format to "
            "b64_json"
        )
    if not encoded and (complaint := complaint_at(entry) or complaint_of(response) or _withheld(entry)) is not None:
        raise ComplaintError(complaint)
    usage = TokenCounts(response.get("usage"))
    return Reply(
        text=json.dumps({"b64_json": encoded, "revised_prompt": _text(entry.get("revised_prompt")) or None})
        if encoded
        else "",
        refusal=None,
        finish_reason=None,
        model=_text(response.get("model")) or None,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        pictures=len(entries),
    )


def _document(body: str) -> Any:
    bare = body.strip().removeprefix("\ufeff").strip()
    try:
        return json.loads(bare)
    except (ValueError, RecursionError):
        streamed = joined_stream(bare)
        if streamed is None:
            said = one_line(complaint_in(bare).message[:160]) if bare else "it is empty"
            raise UnreadableReplyError(f"the response is not JSON: {said}") from None
        return streamed


def _first_choice(completion: object) -> Mapping[str, Any] | None:
    choices = completion.get("choices") if isinstance(completion, Mapping) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, Mapping) else None


def _finish_reason(choice: Mapping[str, object]) -> str | None:
    """Why the answer ended, lower case, as all kinds of servers write it."""
    reason = choice.get("finish_reason")
    if isinstance(reason, Mapping):
        reason = reason.get("type")
    return reason.casefold().removeprefix("finishreason.") if isinstance(reason, str) else None


def _answer_in(choice: Mapping[str, object], message: Mapping[str, object], finish: str | None) -> str:
    """The text of an answer: the content, or where that is empty the JSON that stands in its place."""
    text = _text(message.get("content")) or _text(choice.get("text"))
    if text.strip():
        return text
    for call in _tool_calls(message):
        if (arguments := _text(call.get("arguments"))).strip():
            return arguments
    if finish in CUT_OFF:
        return text
    # Servers that follow a schema while the model is still to think file the JSON under its thoughts.
    for name in ("reasoning_content", "reasoning", "thinking"):
        thought = answer_beside_thoughts(_text(message.get(name))).strip()
        if thought.startswith(("{", "```")):
            return thought
    return text


def _refusal_in(message: Mapping[str, object]) -> str:
    """Why the model will not, beside its content or as a part of it."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    said = [part.get("refusal") for part in parts if isinstance(part, Mapping)]
    return _text(message.get("refusal")) or "".join(map(_text, said))


def _tool_calls(message: Mapping[str, object]) -> Iterator[Mapping[str, Any]]:
    calls = message.get("tool_calls")
    functions = [call.get("function") for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else []
    for function in [*functions, message.get("function_call")]:
        if isinstance(function, Mapping):
            yield function


def _complaint_beside(
    completion: Mapping[str, object],
    choice: Mapping[str, object],
    message: Mapping[str, object],
    finish: str | None,
    is_answered: bool,
) -> Complaint | None:
    """What an answer that was given up says of that; what was written of it until then does not count."""
    complaint = complaint_at(choice)
    if complaint is None and not is_answered:
        complaint = complaint_at(message) or complaint_of(completion)
    if complaint is None and finish in _GAVE_UP:
        complaint = Complaint(f"the answer was given up (finish_reason {finish!r})", None, 503)
    return complaint


def _pictures_in(response: object) -> list[Mapping[str, Any]]:
    """The entries of an answer that may each hold a picture."""
    if not isinstance(response, Mapping):
        return []
    found = next((response[key] for key in ("data", "images", "image", "output") if response.get(key)), None)
    entries = found if isinstance(found, list) else [found]
    pictures: list[Mapping[str, object]] = []
    for entry in entries:
        if isinstance(entry, str):
            is_address = entry.lstrip()[:4].lower() == "http"
            pictures.append({"url": entry} if is_address else {"b64_json": entry})
        elif isinstance(entry, Mapping):
            encoded = next((entry[key] for key in ("b64_json", "base64", "b64", "image") if entry.get(key)), None)
            address = entry.get("url") or entry.get("image_url")
            address = address.get("url") if isinstance(address, Mapping) else address
            pictures.append({**entry, "b64_json": encoded, "url": address})
    return pictures


def _withheld(entry: Mapping[str, object]) -> Complaint | None:
    """That a filter took a picture away, where an entry says no more than that."""
    results = entry.get("content_filter_results")
    found = results.items() if isinstance(results, Mapping) else ()
    kinds = ", ".join(str(kind) for kind, said in found if isinstance(said, Mapping) and said.get("filtered"))
    if not kinds and _finish_reason(entry) not in FILTERED:
        return None
    what = "the endpoint's content filter withheld the picture"
    return Complaint(f"{what} ({kinds})" if kinds else what, "content_filter")


def _text(value: object) -> str:
    """Text as it is; of a list of parts those that are no thoughts; of an object where text is due its JSON."""
    if value is None or value is False:
        return ""
    if isinstance(value, list):
        return "".join(
            _text(part.get("text") if isinstance(part, Mapping) else part) for part in value if not _is_thought(part)
        )
    if isinstance(value, Mapping):
        return _text(value.get("text")) if "text" in str(value.get("type")) else json.dumps(value)
    # JSON may hold half a character (a lone surrogate), which no file can.
    return str(value).encode(errors="replace").decode()


def _is_thought(part: object) -> bool:
    kind = part.get("type") if isinstance(part, Mapping) else None
    return kind is not None and str(kind) not in ("text", "output_text")


def _shown(document: object) -> str:
    return one_line(json.dumps(document, ensure_ascii=False)[:120])
