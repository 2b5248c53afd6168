"""What an endpoint's complaint means for a request, or for all of them: the same for every way in which it arrives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stablellava_assets.endpoint.replies.complaints import Complaint
from stablellava_assets.endpoint.requests import EndpointError
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.tables.schemas import OF_ROW, OF_SETTING

_REFUSED = {400, 406, 411, 413, 414, 415, 422, 431, 501}
_OF_ACCESS = {403, 404, 410}
_OVERLOADED = {429, 503, 529}
_TRANSIENT = {408, 409, 421, 423, 424, 425, 440, 449, 498, 499, *_OVERLOADED}
_MAY_BE_CHARGED = {408, 504}


class RefusedError(Exception):
    """The endpoint will not answer this request, however often it is sent.

    ``fault`` says whether the request itself is at fault, or perhaps a setting; ``mend`` is what to do
    where nothing at all is answered.
    """

    def __init__(self, reason: str, fault: str = OF_SETTING, mend: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fault = fault
        self.mend = mend


@dataclass
class UnavailableError(Exception):
    """No answer this time. ``may_be_charged``: the endpoint may have written one that was lost on the way."""

    reason: str
    may_be_charged: bool
    overloaded: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


def error_of(
    settings: EndpointSettings,
    status: int | None,
    complaint: Complaint,
    *,
    headers: Mapping[str, str] | None = None,
    has_key: bool = True,
    charged: bool = False,
) -> RefusedError | UnavailableError | EndpointError:
    """What a complaint means.

    Args:
        settings: of the endpoint that complains.
        status: the HTTP status; None where the response was a success by its status, and the complaint inside it.
        complaint: its words.
        headers: of the response.
        has_key: whether a key was sent.
        charged: whether something was written, so that it may have to be paid.
    """
    inside = status is None
    status = complaint.status if status is None else status
    said = f"{complaint}" if status is None else f"HTTP {status}: {complaint}"
    if inside:
        said = f"an error in place of an answer: {said}"
    if status == 402 or (
        complaint.is_about_money and (status is None or status in (400, 401, 403, 429) or status >= 500)
    ):
        return EndpointError(f"{settings.url}: the account has no credit left ({said}); add some and run again")
    if status == 401 or (complaint.is_about_the_key and status in (None, 400, 403)):
        return EndpointError(f"{settings.url}: {said}: {_wants_a_key(settings, has_key)}")
    if status == 407:
        return EndpointError(
            f"{settings.url}: {said}: the proxy requires a user name and a password; check HTTPS_PROXY or HTTP_PROXY"
        )
    if complaint.is_moderation and (status is None or status in (_REFUSED | {403, 451})):
        return RefusedError(said, OF_ROW)
    if status == 451:
        return RefusedError(said, OF_ROW)
    if status in _REFUSED:
        return RefusedError(said, mend=_mend_access(settings, 404) if complaint.is_about_the_model else None)
    if status in _OF_ACCESS:
        return RefusedError(said, mend=_mend_access(settings, status))
    if status is None or status in _TRANSIENT or status >= 500:
        return UnavailableError(
            said,
            may_be_charged=charged or (not inside and status in _MAY_BE_CHARGED),
            overloaded=status in _OVERLOADED,
            headers=_with_wait(headers or {}, complaint.wait_s),
        )
    return EndpointError(f"{settings.url}: {said}: an unexpected response; check `base_url`")


def _with_wait(headers: Mapping[str, str], wait_s: float | None) -> Mapping[str, str]:
    if wait_s is None or "retry-after" in headers or "retry-after-ms" in headers:
        return headers
    return {**headers, "retry-after": str(wait_s)}


def _wants_a_key(settings: EndpointSettings, has_key: bool) -> str:
    name = settings.api_key_variable
    if name is None:
        return "the endpoint requires a key; name its environment variable in `api_key_variable`"
    if not has_key:
        return f"the endpoint requires a key, and the environment variable {name} is not set; set it to the key"
    return f"the key is not accepted; check the environment variable {name}"


def _mend_access(settings: EndpointSettings, status: int) -> str:
    if status == 403:
        key = settings.api_key_variable
        who = "the key has no access to" if key else "without a key there is no access to"
        return f"{who} model {settings.model!r}; check `model`, or {key or 'name a key in `api_key_variable`'}"
    return f"there is no model {settings.model!r} or no such address; check `model` or `base_url`"
