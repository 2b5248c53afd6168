"""Send one request through the `openai` client, and say in our words what came back."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx2
import openai

from stablellava_assets.endpoint.replies import one_line
from stablellava_assets.endpoint.requests import EndpointError
from stablellava_assets.endpoint.settings import EndpointSettings

_REFUSED = {400, 413, 422}
_OVERLOADED = {429, 503, 529}
_TRANSIENT = {408, 409, 425, *_OVERLOADED}
_MAY_BE_CHARGED = {408, 504}
_NEVER_CONNECTED = (aiohttp.ClientConnectorError, httpx2.ConnectError, httpx2.ConnectTimeout)
_NO_CREDIT = {"insufficient_quota", "billing_hard_limit_reached"}
_TURN: ContextVar[Awaitable[None]] = ContextVar("_TURN")


@dataclass(frozen=True)
class Response:
    """A completed HTTP exchange that may hold an answer."""

    body: str
    headers: Mapping[str, str]


class RefusedError(Exception):
    """The endpoint will not answer this request, however often it is sent."""


@dataclass
class UnavailableError(Exception):
    """No answer this time. ``may_be_charged``: the endpoint may have written one that was lost on the way."""

    reason: str
    may_be_charged: bool
    overloaded: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport:
    """How an endpoint is reached, and what its responses mean."""

    def __init__(self, settings: EndpointSettings) -> None:
        self._settings = settings
        self._key: str | None = None
        self._tls = httpx2.create_ssl_context(verify=urlsplit(settings.url).scheme == "https")

    def read_key(self) -> None:
        """Take the key from the environment.

        Raises:
            EndpointError: it is not there, and the endpoint wants one.
        """
        name = self._settings.api_key_variable
        self._key = os.environ.get(name, "").strip() or None if name else None
        if name and self._key is None and self._settings.is_official:
            raise EndpointError(f"set the environment variable {name} to the key of {self._settings.url}")

    def client(self) -> openai.AsyncOpenAI:
        """A client without connections yet, for one event loop; close it there."""
        settings = self._settings
        # Measured: 1.0 ms a request, where httpx's own connections take 1.5 with 32 in flight and 2.2 with 256.
        connections = openai.DefaultAioHttpClient(
            limits=httpx2.Limits(max_connections=settings.max_in_flight),
            timeout=None,
            event_hooks={"request": [_wait_for_turn]},
            **self._connecting(),
        )
        common = self._common(None) | {"http_client": connections}
        if settings.provider == "azure":
            return openai.AsyncAzureOpenAI(**common)
        return openai.AsyncOpenAI(**common)

    def blocking_client(self) -> openai.OpenAI:
        """A client whose calls wait for their answers, ``timeout_s`` at most for each part of one; close it."""
        timeout = self._settings.timeout_s
        connections = openai.DefaultHttpxClient(timeout=timeout, **self._connecting())
        common = self._common(timeout) | {"http_client": connections}
        if self._settings.provider == "azure":
            return openai.AzureOpenAI(**common)
        return openai.OpenAI(**common)

    async def post(
        self, client: openai.AsyncOpenAI, path: str, body: Mapping[str, Any], turn: Awaitable[None]
    ) -> Response:
        """Build a request to ``path`` at once, and send it when it is its ``turn``.

        Raises:
            RefusedError: it can never be answered.
            UnavailableError: it may be answered another time.
            EndpointError: no request can be answered with these settings.
        """
        _TURN.set(turn)
        try:
            response = await client.post(path, body=dict(body), cast_to=httpx2.Response)
        except (openai.APIError, aiohttp.ClientError) as error:
            raise self.meaning_of(error) from None
        return Response(self.without_key(response.text), response.headers)

    def meaning_of(self, error: Exception) -> Exception:
        """One of the errors that :meth:`post` raises, for one that a client raised."""
        if isinstance(error, openai.APIStatusError):
            return self._meaning(error.status_code, error.response)
        return self._lost(error)

    def clean(self, text: str) -> str:
        """What an endpoint said, as a line without the key."""
        return one_line(self.without_key(text))

    def without_key(self, text: str) -> str:
        """Some servers repeat what they were sent."""
        return text.replace(self._key, "[key]") if self._key else text

    def _connecting(self) -> dict[str, Any]:
        # A proxy for the outside world does not lead to this machine.
        outside = urlsplit(self._settings.url).hostname not in ("localhost", "127.0.0.1", "::1")
        return {"verify": self._tls, "follow_redirects": False, "trust_env": outside}

    def _common(self, timeout: float | None) -> dict[str, Any]:
        settings = self._settings
        where: dict[str, Any] = {"base_url": settings.url}
        if settings.provider == "azure":
            where = {"azure_endpoint": settings.url, "api_version": settings.api_version}
        return {"api_key": self._key or "none", "max_retries": 0, "timeout": timeout, **where}

    def _meaning(self, status: int, response: httpx2.Response) -> Exception:
        """What an HTTP status other than success means for the request, or for all of them."""
        code, message = _error_of(response.text)
        said = self.clean(message)
        settings = self._settings
        if status == 429 and code in _NO_CREDIT:
            return EndpointError(f"{settings.url}: the account has no credit left ({code}); add some and run again")
        if status in _REFUSED:
            return RefusedError(f"HTTP {status}: {said}")
        if status in _TRANSIENT or status >= 500:
            return UnavailableError(
                f"HTTP {status}: {said}",
                may_be_charged=status in _MAY_BE_CHARGED,
                overloaded=status in _OVERLOADED,
                headers=response.headers,
            )
        mend = {
            401: f"the key is not accepted; mend the environment variable {settings.api_key_variable}",
            403: f"the key may not use model {settings.model!r}; mend model, or {settings.api_key_variable}",
            404: f"there is no model {settings.model!r} or no such address; mend model or base_url",
        }.get(status, f"unexpected answer ({said}); mend base_url")
        return EndpointError(f"{settings.url}: HTTP {status}: {mend}")

    def _lost(self, error: BaseException) -> UnavailableError:
        """What a broken connection means: only if none was made is it certain that the endpoint wrote nothing."""
        causes = [error]
        while (cause := causes[-1].__cause__) is not None:
            causes.append(cause)
        # Where aiohttp connects, what httpx says is a translation, in which a lost connection was never made.
        own = [cause for cause in causes if isinstance(cause, aiohttp.ClientError)] or causes
        sent = not any(isinstance(cause, _NEVER_CONNECTED) for cause in own)
        what = "the connection broke" if sent else "no connection"
        # The client's own error says nothing, and the system's lacks the address.
        said = causes[min(2, len(causes) - 1)]
        return UnavailableError(f"{what}: {self.clean(str(said) or type(said).__name__)}", may_be_charged=sent)


async def _wait_for_turn(request: httpx2.Request) -> None:
    await _TURN.get()


def _error_of(body: str) -> tuple[str | None, str]:
    """Code and message of an error response."""
    try:
        error = json.loads(body)["error"]
        return error.get("code"), str(error.get("message") or body)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None, body
