"""What an endpoint complains of, in its own words, whatever form it gives them: one place for all servers and
proxies."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

_LONGEST_REASON = 300
_PROBLEMS_NAMED = 3
_HOLD_MESSAGES = ("message", "msg", "detail", "details", "title", "description", "reason", "error_description")
_STATUS_OF = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "too_many_requests": 429,
    "resource_exhausted": 429,
    "overloaded_error": 529,
    "overloaded": 529,
    "unavailable": 503,
    "service_unavailable": 503,
    "serviceunavailableerror": 503,
    "deadline_exceeded": 504,
    "timeout": 504,
    "server_error": 500,
    "api_error": 500,
    "internal": 500,
    "internal_error": 500,
    "internal_server_error": 500,
    "internalservererror": 500,
    "insufficient_quota": 402,
    "insufficient_balance": 402,
    "billing_hard_limit_reached": 402,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "unauthenticated": 401,
    "unauthorized": 401,
    "permission_denied": 403,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found": 404,
    "not_found_error": 404,
    "notfounderror": 404,
    "deploymentnotfound": 404,
    "invalid_request_error": 400,
    "invalid_argument": 400,
    "failed_precondition": 400,
    "badrequesterror": 400,
    "bad_request": 400,
    "unsupported_parameter": 400,
    "unknown_parameter": 400,
    "invalid_value": 400,
    "context_length_exceeded": 400,
    "content_filter": 400,
    "content_policy_violation": 400,
    "moderation_blocked": 400,
}
"""What the names that stand in for a status mean, lower case."""
_NO_SUCH_ADDRESS = re.compile(r"unexpected endpoint|unknown (?:endpoint|route)|no such route", re.IGNORECASE)
"""LM Studio answers an address that it does not know with a success."""
_MODERATION = re.compile(
    r"moderat|flagged|content[_ ]?(?:policy|filter|management)|responsible ?ai|safety"
    r" (?:system|filter|setting|reason|polic)"
    r"|\bblocked by (?:our|the|content|safety|moderation)|blocked_?reason|prohibited[_ ]content|usage"
    r" polic|data_?inspection_?failed|inappropriate|sensitive (?:content|word|information)|harmful",
    re.IGNORECASE,
)
_OF_A_FIELD = re.compile(
    r"(?:unknown|unrecogni[sz]ed|unsupported|unexpected|extra|invalid)[_ ](?:\w+"
    r"[_ ]){0,2}(?:parameters?|params?|fields?|arguments?|keywords?|names?"
    r"|keys?|propert(?:y|ies))\b|extra inputs\b|invalid value\b|(?:does|do) not support",
    re.IGNORECASE,
)
"""Of a field of the request, which may well be called after moderation: a setting, and no verdict on what is asked."""
_BAD_KEY = re.compile(
    r"\b(?:invalid|incorrect|expired|missing|wrong|no)[_ ](?:\w+[_ ])?api[_ -]?key"
    r"|api[_ -]?key[_ ](?:is[_ ])?(?:not[_ ](?:valid|found)|invalid|expired|missing)",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model[_ ]not[_ ](?:found|exist|available)|no such model|(?:invalid|unknown)[_ ]model\b|not a valid"
    r" model|deploymentnotfound"
    r"|\bmodel\b.{0,80}\b(?:does not exist|(?:was |is )?not (?:found|available))",
    re.IGNORECASE | re.DOTALL,
)
_NO_CREDIT = re.compile(
    r"insufficient[_ ](?:\w+[_ ])?(?:quota|balance|credits?|funds)|(?:quota|credits?) (?:is|are) not enough"
    r"|billing[_ ]hard[_ ]limit|billing_not_active|arrearage|credit balance is too low"
    r"|(?:not enough|out of|requires more|no remaining|negative) credits?|payment required|exceeded_current_quota|key"
    r" limit exceeded"
    r"|spending limit|balance is (?:not enough|insufficient|too low)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Complaint:
    """What an endpoint said instead of an answer. ``status`` is what the words themselves give for one."""

    message: str
    code: str | None = None
    status: int | None = None
    wait_s: float | None = None
    """How long it asks to wait, where it says so in the body."""

    @property
    def is_moderation(self) -> bool:
        """Whether it is about what this request holds, so that no setting mends it."""
        if self.code is not None and _MODERATION.search(self.code):
            return True
        return self._says(_MODERATION) and not self._says(_OF_A_FIELD)

    @property
    def is_about_money(self) -> bool:
        """Whether the account has no credit left."""
        return self._says(_NO_CREDIT)

    @property
    def is_about_the_key(self) -> bool:
        """Whether the key is not accepted, whatever the status says."""
        return self._says(_BAD_KEY)

    @property
    def is_about_the_model(self) -> bool:
        """Whether there is no model of this name."""
        return self._says(_NO_MODEL)

    def _says(self, what: re.Pattern[str]) -> bool:
        return what.search(f"{self.code} {self.message}") is not None

    def __str__(self) -> str:
        named = self.code and not self.code.isdigit() and self.code.casefold() not in self.message.casefold()
        return one_line(f"{self.code}: {self.message}" if named else self.message)


def one_line(text: str) -> str:
    """Foreign text as a short line that is safe to log: no control characters, no line breaks."""
    printable = "".join(character if character.isprintable() else " " for character in text[: 4 * _LONGEST_REASON])
    line = " ".join(printable.split())
    return line if len(line) <= _LONGEST_REASON else f"{line[: _LONGEST_REASON - 3]}..."


def complaint_in(body: str) -> Complaint:
    """The complaint that the body of an error response is, be it JSON, a page or plain text."""
    try:
        document = json.loads(body.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return Complaint(_plain_text(body) or "no reason given")
    return complaint_of(document) or Complaint(_shown(document))


def complaint_of(document: object) -> Complaint | None:
    """The complaint that a JSON document holds; None if it is something else.

    An answer is none, though some servers send ``"error": null`` along with it.
    """
    if isinstance(document, list):
        found = (complaint_of(part) for part in document)
        return next((complaint for complaint in found if complaint is not None), None)
    if not isinstance(document, Mapping):
        return None
    for key in ("error", "errors"):
        if document.get(key):
            return _complaint(document[key], document)
    if document.get("object") == "error" or document.get("type") == "error":
        return _complaint(document, {})
    base = document.get("base_resp")
    if isinstance(base, Mapping) and base.get("status_code"):
        return Complaint(str(base.get("status_msg") or base), str(base["status_code"]))
    if "choices" not in document and "data" not in document and any(document.get(key) for key in _HOLD_MESSAGES):
        return _complaint(document, {})
    return None


def complaint_at(holder: Mapping[str, object]) -> Complaint | None:
    """The complaint in the field ``error`` of a part of an answer, if it has one."""
    return _complaint(holder["error"], {}) if holder.get("error") else None


def _complaint(error: object, around: Mapping[str, object]) -> Complaint:
    if isinstance(error, list):
        first = next((part for part in error if isinstance(part, Mapping)), {})
        return Complaint(_message(error), _code(first, around), _status(first, around))
    if isinstance(error, Mapping):
        return Complaint(_message(error), _code(error, around), _status(error, around), _wait(error))
    # As in {"error": "invalid_request", "message": "..."}.
    more = _message({key: value for key, value in around.items() if key != "error"}, "") if around else ""
    said = _plain_text(str(error))
    status = 404 if _NO_SUCH_ADDRESS.search(said) else _status(around, {})
    return Complaint(f"{said}: {more}" if more and more != said else said, _code(around, {}), status)


def _message(error: object, otherwise: str | None = None) -> str:
    """The words of an error, however deep they lie."""
    if isinstance(error, str):
        return _plain_text(error)
    if isinstance(error, list):
        parts = [_message(part) for part in error[:_PROBLEMS_NAMED]]
        more = [f"and {len(error) - _PROBLEMS_NAMED} more"] if len(error) > _PROBLEMS_NAMED else []
        return "; ".join([*filter(None, parts), *more])
    if not isinstance(error, Mapping):
        return str(error)
    said = next((_message(error[key]) for key in _HOLD_MESSAGES if error.get(key)), None)
    if said is None and isinstance(error.get("error"), str | Mapping | list):
        said = _message(error["error"])
    if said is None:
        return _shown(error) if otherwise is None else otherwise
    # FastAPI names the field at fault beside its message; OpenRouter has the provider's own words in metadata.
    if isinstance(error.get("loc"), list):
        said = f"{'.'.join(str(part) for part in error['loc'])}: {said}"
    metadata = error.get("metadata")
    if isinstance(metadata, Mapping):
        raw, reasons = metadata.get("raw"), metadata.get("reasons")
        words = [complaint_in(raw).message if isinstance(raw, str) else _message(raw)] if raw else []
        words += [", ".join(str(reason) for reason in reasons)] if isinstance(reasons, list) and reasons else []
        said = ": ".join([said, *words])
    return said


def _code(error: Mapping[str, object], around: Mapping[str, object]) -> str | None:
    for holder in (error, around):
        for key in ("code", "status", "type"):
            value = holder.get(key)
            if isinstance(value, str | int) and not isinstance(value, bool) and value != "" and value != "error":
                return str(value)
    return None


def _status(error: Mapping[str, object], around: Mapping[str, object]) -> int | None:
    for holder in (error, around):
        for key in ("code", "status", "status_code", "type"):
            value = holder.get(key)
            number = _number(value)
            if number is not None:
                return number
            if isinstance(value, str) and value.casefold() in _STATUS_OF:
                return _STATUS_OF[value.casefold()]
    return None


def _wait(error: Mapping[str, object]) -> float | None:
    """Seconds to wait, as Google's ``RetryInfo`` has them among the details."""
    details = error.get("details")
    for part in details if isinstance(details, list) else []:
        delay = part.get("retryDelay") if isinstance(part, Mapping) else None
        if isinstance(delay, str) and (found := re.fullmatch(r"(\d+(?:\.\d+)?)s", delay)):
            return float(found[1])
    return None


def _number(value: object) -> int | None:
    try:
        number = int(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0
    except (ValueError, OverflowError):
        return None
    return number if 400 <= number <= 599 else None


def _plain_text(text: str) -> str:
    """Text as it is; of a page what people read of it."""
    if not re.search(r"<(?:!doctype|html|head|body|title|h1)\b", text[:2000], re.IGNORECASE):
        return text.strip()
    bare = re.sub(r"(?is)<(script|style)\b.*?</\1>|<!--.*?-->", " ", text[:20_000])
    words = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", bare)).split())
    return f"a web page: {words or 'without text'}"


def _shown(document: object) -> str:
    return json.dumps(document, ensure_ascii=False)[: 2 * _LONGEST_REASON]
