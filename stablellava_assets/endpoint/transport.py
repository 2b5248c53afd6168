"""Reach an endpoint: one live request after the other, or through the `openai` client; and
say in our words what came back."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from mimetypes import guess_type
from secrets import token_hex
from typing import Any
from urllib.parse import quote, urlsplit

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
from stablellava_assets.endpoint.replies.replies import (
    ComplaintError,
    Reply,
    UnreadableReplyError,
    read_picture,
    read_reply,
)
from stablellava_assets.endpoint.requests import ChatRequest, EndpointError, ImageRequest
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.pictures.encoding import picture_suffix

_NEVER_CONNECTED = (aiohttp.ClientConnectorError, httpx2.ConnectError, httpx2.ConnectTimeout)
_SHORTEST_SECRET = 8
"""Characters. Shorter keys are what servers that want none are given (EMPTY, none, x): words that answers may hold."""


@dataclass(frozen=True)
class Response:
    """An answer, with the headers it came with."""

    reply: Reply
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

    def client(self) -> httpx2.AsyncClient:
        """A client without connections yet, for one event loop; close it there.

        It is the one that `openai.AsyncOpenAI` would send through, with its headers. That one takes as long
        itself as everything else together.
        """
        with self.blocking_client() as named:
            known = {**named.default_headers, **named.auth_headers}
        headers = {
            name: value
            for name, value in known.items()
            if isinstance(value, str) and not name.startswith("X-Stainless-")
        }
        # Measured: 1.0 ms a request, where httpx's own connections take 1.5 with 32 in flight and 2.2 with 256.
        return openai.DefaultAioHttpClient(
            limits=httpx2.Limits(max_connections=self._settings.max_in_flight),
            timeout=None,
            headers=headers,
            **self._connecting(),
        )

    def blocking_client(self) -> openai.OpenAI:
        """A client whose calls wait for their answers, ``timeout_s`` at most for each part of one; close it."""
        settings = self._settings
        common: dict[str, Any] = {
            "api_key": self._key or "none",
            "max_retries": 0,
            "timeout": settings.timeout_s,
            "http_client": openai.DefaultHttpxClient(timeout=settings.timeout_s, **self._connecting()),
        }
        if settings.provider == "azure":
            common |= {"azure_endpoint": settings.url, "api_version": settings.api_version}
            return openai.AzureOpenAI(**common)
        return openai.OpenAI(base_url=settings.url, **common)

    async def post(self, client: httpx2.AsyncClient, request: ChatRequest, body: Mapping[str, Any]) -> Response:
        """Send the ``body`` of a request and wait for its answer.

        Raises:
            RefusedError: it can never be answered.
            UnavailableError: it may be answered another time.
            EndpointError: no request can be answered with these settings.
        """
        try:
            response = await client.post(self._address(request.path), **_sent_as(body))
        except (httpx2.RequestError, aiohttp.ClientError, ssl.SSLError) as error:
            raise self._lost(error) from None
        if not response.is_success:
            raise self._complaint(response)
        return Response(self._reply_in(request, response), response.headers)

    def error_of(self, error: Exception) -> Exception:
        """One of the errors that :meth:`post` raises, for one that the `openai` client raised."""
        return self._complaint(error.response) if isinstance(error, openai.APIStatusError) else self._lost(error)

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

    def _address(self, path: str) -> str:
        settings, base = self._settings, self._settings.url.rstrip("/")
        if settings.provider == "azure":
            deployment = f"openai/deployments/{quote(settings.model, safe='')}"
            return f"{base}/{deployment}{path}?api-version={settings.api_version}"
        return f"{base}{path}"

    def _reply_in(self, request: ChatRequest, response: httpx2.Response) -> Reply:
        """The answer in a response that is a success by its status; raises what it means that there is none."""
        read = read_picture if isinstance(request, ImageRequest) else read_reply
        try:
            reply = read(self.answer_without_key(_text_of(response)))
        except ComplaintError as error:
            complaint = replace(error.complaint, message=self.without_key(error.complaint.message))
            raise error_of(self._settings, None, complaint, headers=response.headers, charged=error.charged) from None
        except UnreadableReplyError as error:
            raise UnavailableError(str(error), may_be_charged=True) from None
        return replace(reply, model=reply.model or self._settings.model)

    def _complaint(self, response: httpx2.Response) -> Exception:
        """What it means that a response's status is no success."""
        complaint = complaint_in(self.without_key(_text_of(response)))
        status, headers = response.status_code, response.headers
        if 300 <= status < 400:
            complaint = replace(complaint, message=f"redirected to {self.clean(headers.get('location', '?'))}")
        return error_of(self._settings, status, complaint, headers=headers, has_key=self._key is not None)

    def _lost(self, error: BaseException) -> UnavailableError | EndpointError:
        """What a broken connection means: only if none was made is it certain that the endpoint wrote nothing."""
        causes = [error]
        while (cause := causes[-1].__cause__) is not None:
            causes.append(cause)
        # What the openai client says of it is nothing.
        causes = [cause for cause in causes if not isinstance(cause, openai.APIError)] or causes
        proxy = proxy_in_use(self._settings.url) if self._is_outside else None
        if proxy is not None and (status := proxy_status(causes)) is not None:
            return self._proxy_error(proxy, status)
        if (mend := tls_mistake(causes, proxy)) is not None:
            return EndpointError(f"{self._settings.url}: {mend}")
        # Where aiohttp connects, what httpx says is a translation, in which a lost connection was never made.
        own = [cause for cause in causes if isinstance(cause, aiohttp.ClientError)] or causes
        sent = not any(isinstance(cause, _NEVER_CONNECTED) for cause in own)
        what = "the connection broke" if sent else "no connection"
        # The first is a translation, and the system's own lacks the address.
        said = causes[min(1, len(causes) - 1)]
        through = "" if proxy is None else f" (through the proxy of {proxy})"
        return UnavailableError(f"{what}{through}: {self.clean(str(said) or type(said).__name__)}", may_be_charged=sent)

    def _proxy_error(self, proxy: str, status: int) -> UnavailableError | EndpointError:
        """What it means that a proxy does not lead to the endpoint."""
        said = f"the proxy of {proxy} answers HTTP {status} and leads nowhere"
        if status == 407:
            return EndpointError(f"{self._settings.url}: {said}: it requires a user name and a password; check {proxy}")
        if status in (408, 429) or status >= 500:
            return UnavailableError(said, may_be_charged=False)
        return EndpointError(f"{self._settings.url}: {said}; check {proxy}, or name the endpoint in NO_PROXY")


def _sent_as(body: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that send a body as JSON, or as a form if it holds a file."""
    if "image" not in body:
        return {"json": body}
    fields = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items() if name != "image"
    }
    file = body["image"]
    name = f"image.{picture_suffix(file)}"
    # The client's own header says JSON.
    headers = {"Content-Type": f"multipart/form-data; boundary={token_hex(16)}"}
    return {"data": fields, "files": {"image": (name, file, guess_type(name)[0])}, "headers": headers}


def _text_of(response: httpx2.Response) -> str:
    """JSON is UTF-8, whatever a server's header says of its encoding."""
    try:
        return response.content.decode()
    except UnicodeDecodeError:
        return response.text
