"""Send one request through the `openai` client, and say in our words what came back."""

from __future__ import annotations

import re
import ssl
from collections.abc import Awaitable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx2
import openai

from stablellava_assets.endpoint.connecting import (
    key_from_environment,
    prove_proxies,
    proxy_in_use,
    proxy_status,
    tls_context,
    tls_mistake,
)
from stablellava_assets.endpoint.replies.complaints import complaint_in, one_line
from stablellava_assets.endpoint.replies.refusals import UnavailableError, error_of
from stablellava_assets.endpoint.requests import EndpointError
from stablellava_assets.endpoint.settings import EndpointSettings

_NEVER_CONNECTED = (aiohttp.ClientConnectorError, httpx2.ConnectError, httpx2.ConnectTimeout)
_SHORTEST_SECRET = 8
"""Characters. Shorter keys are what servers that want none are given (EMPTY, none, x): words that answers may hold."""
_TURN: ContextVar[Awaitable[None]] = ContextVar("_TURN")


@dataclass(frozen=True)
class Response:
    """A completed HTTP exchange that may hold an answer."""

    body: str
    headers: Mapping[str, str]


class Transport:
    """How an endpoint is reached, and what its responses mean."""

    def __init__(self, settings: EndpointSettings) -> None:
        self._settings = settings
        self._key: str | None = None
        self._tls: ssl.SSLContext | None = None

    def prepare(self) -> None:
        """Take key, certificates and proxies from the environment, and see that a client can be made of them.

        Raises:
            EndpointError: it cannot; the message names the variable to check.
        """
        settings = self._settings
        self._key = key_from_environment(settings)
        self._tls = self._tls or tls_context(settings.url)
        if self._is_outside:
            prove_proxies()
        try:
            self.blocking_client().close()
        except Exception as error:
            raise EndpointError(
                f"{settings.url}: no client can be made for this address: {self.clean(str(error))}"
            ) from None

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
        self, client: openai.AsyncOpenAI, path: str, body: Mapping[str, object], turn: Awaitable[None]
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
            raise self.error_of(error) from None
        return Response(self.answer_without_key(_text_of(response)), response.headers)

    def error_of(self, error: Exception) -> Exception:
        """One of the errors that :meth:`post` raises, for one that a client raised."""
        if isinstance(error, openai.APIStatusError):
            response = error.response
            complaint = complaint_in(self.without_key(_text_of(response)))
            if 300 <= error.status_code < 400:
                complaint = replace(
                    complaint, message=f"redirected to {self.clean(response.headers.get('location', '?'))}"
                )
            return error_of(
                self._settings, error.status_code, complaint, headers=response.headers, has_key=self._key is not None
            )
        return self._lost(error)

    def clean(self, text: str) -> str:
        """What an endpoint said, as a line without the key."""
        return one_line(self.without_key(text))

    def without_key(self, text: str) -> str:
        """An error's text: some servers repeat what they were sent."""
        if self._key is None or len(self._key) >= _SHORTEST_SECRET:
            return self.answer_without_key(text)
        return re.sub(rf"(?<![A-Za-z0-9]){re.escape(self._key)}(?![A-Za-z0-9])", "[key]", text)

    def answer_without_key(self, text: str) -> str:
        """An answer's text, of which nothing is taken but what is a secret."""
        if self._key is None or len(self._key) < _SHORTEST_SECRET:
            return text
        # JSON may write a slash as an escape.
        return text.replace(self._key, "[key]").replace(self._key.replace("/", "\\/"), "[key]")

    @property
    def _is_outside(self) -> bool:
        """Whether the endpoint is on another machine: a proxy for the outside world does not lead to this one."""
        return urlsplit(self._settings.url).hostname not in ("localhost", "127.0.0.1", "::1")

    def _connecting(self) -> dict[str, Any]:
        return {"verify": self._tls, "follow_redirects": False, "trust_env": self._is_outside}

    def _common(self, timeout: float | None) -> dict[str, Any]:
        settings = self._settings
        where: dict[str, object] = {"base_url": settings.url}
        if settings.provider == "azure":
            where = {"azure_endpoint": settings.url, "api_version": settings.api_version}
        return {"api_key": self._key or "none", "max_retries": 0, "timeout": timeout, **where}

    def _lost(self, error: BaseException) -> UnavailableError | EndpointError:
        """What a broken connection means: only if none was made is it certain that the endpoint wrote nothing."""
        causes = [error]
        while (cause := causes[-1].__cause__) is not None:
            causes.append(cause)
        proxy = proxy_in_use(self._settings.url) if self._is_outside else None
        if proxy is not None and (status := proxy_status(causes)) is not None:
            return self._turned_away(proxy, status)
        if (mend := tls_mistake(causes, proxy)) is not None:
            return EndpointError(f"{self._settings.url}: {mend}")
        # Where aiohttp connects, what httpx says is a translation, in which a lost connection was never made.
        own = [cause for cause in causes if isinstance(cause, aiohttp.ClientError)] or causes
        sent = not any(isinstance(cause, _NEVER_CONNECTED) for cause in own)
        what = "the connection broke" if sent else "no connection"
        # The client's own error says nothing, and the system's lacks the address.
        said = causes[min(2, len(causes) - 1)]
        through = "" if proxy is None else f" (through the proxy of {proxy})"
        return UnavailableError(f"{what}{through}: {self.clean(str(said) or type(said).__name__)}", may_be_charged=sent)

    def _turned_away(self, proxy: str, status: int) -> UnavailableError | EndpointError:
        """What it means that a proxy does not lead to the endpoint."""
        said = f"the proxy of {proxy} answers HTTP {status} and leads nowhere"
        if status == 407:
            return EndpointError(f"{self._settings.url}: {said}: it requires a user name and a password; check {proxy}")
        if status in (408, 429) or status >= 500:
            return UnavailableError(said, may_be_charged=False)
        return EndpointError(f"{self._settings.url}: {said}; check {proxy}, or name the endpoint in NO_PROXY")


def _text_of(response: httpx2.Response) -> str:
    """JSON is UTF-8, whatever a server's header says of its encoding."""
    try:
        return response.content.decode()
    except UnicodeDecodeError:
        return response.text


async def _wait_for_turn(request: httpx2.Request) -> None:
    await _TURN.get()
