"""What the environment gives to reach an endpoint with: its key, proxies, certificates; each
is looked at before it is used."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx2

from stablellava_assets.endpoint.requests import EndpointError
from stablellava_assets.endpoint.settings import EndpointSettings

_PROXY_SCHEMES = ("http", "https")
_QUOTES = "\"'`"


def key_from_environment(settings: EndpointSettings) -> str | None:
    """The endpoint's key; None where none is set and none is needed.

    Raises:
        EndpointError: it is not there and the endpoint wants one, or no header can carry it. The key is not shown.
    """
    name = settings.api_key_variable
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        if settings.is_official:
            raise EndpointError(f"set the environment variable {name} to the key of {settings.url}")
        return None
    if (mistake := _mistake_in(key)) is not None:
        raise EndpointError(
            f"the environment variable {name} cannot be a key: {mistake}; set it to the bare key of {settings.url}"
        )
    return key


def tls_context(url: str) -> ssl.SSLContext:
    """How certificates are looked at.

    Raises:
        EndpointError: the certificates that the environment names cannot be read.
    """
    is_tls = urlsplit(url).scheme == "https"
    file, folder = (os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    if is_tls and file and not Path(file).is_file():
        raise EndpointError(
            f"the environment variable SSL_CERT_FILE names {file}, and there is no such file; unset it, or name a file "
            "of certificates (PEM)"
        )
    if is_tls and folder and not any(Path(part).is_dir() for part in folder.split(os.pathsep)):
        raise EndpointError(
            f"the environment variable SSL_CERT_DIR names {folder}, and there is no such folder; unset it, or name a "
            "folder of certificates"
        )
    try:
        return httpx2.create_ssl_context(verify=is_tls)
    except OSError as error:  # ssl.SSLError is one.
        named = " and ".join(
            f"{name} ({value})" for name, value in (("SSL_CERT_FILE", file), ("SSL_CERT_DIR", folder)) if value
        )
        raise EndpointError(
            f"the trusted certificates cannot be read ({error}); correct or unset the environment variable "
            f"{named or 'SSL_CERT_FILE'}"
        ) from None


def prove_proxies() -> None:
    """See that the proxies that the environment names can be used.

    Raises:
        EndpointError: one cannot; its variable is named.
    """
    found = getproxies()
    if "*" in found.get("no", "").replace(" ", "").split(","):
        return
    # A client is made with all of them, so that another scheme's is no less in the way.
    for name in ("http", "https", "all"):
        address = found.get(name)
        if address and (mistake := _mistake_in_proxy(address)) is not None:
            raise EndpointError(
                f"the environment variable {_variable_of(name)} names a proxy that cannot be used: {mistake}. Set it "
                "to an address such as http://proxy.example.org:3128, or unset it"
            )


def proxy_in_use(url: str) -> str | None:
    """The environment variable whose proxy leads to an address; None where none does."""
    where = urlsplit(url)
    if proxy_bypass(where.netloc):
        return None
    found = getproxies()
    return next((_variable_of(name) for name in (where.scheme, "all") if found.get(name)), None)


def proxy_status(causes: Iterable[BaseException]) -> int | None:
    """The status by which a proxy refused to lead on; None where none did."""
    for cause in causes:
        if isinstance(cause, aiohttp.ClientHttpProxyError):
            return cause.status
        if isinstance(cause, httpx2.ProxyError) and (found := re.match(r"(\d{3})\b", str(cause))):
            return int(found[1])
    return None


def tls_mistake(causes: Iterable[BaseException], proxy: str | None) -> str | None:
    """What to do if a connection failed by its certificate or for lack of TLS; None if it failed otherwise."""
    for cause in causes:
        for error in (getattr(cause, "certificate_error", None), getattr(cause, "os_error", None), cause):
            if isinstance(error, ssl.SSLCertVerificationError):
                why = getattr(error, "verify_message", None) or str(error)
                return (
                    f"its certificate is not trusted ({why}); name the file of the authority that issued it in the "
                    f"environment variable SSL_CERT_FILE{_trusted_now()}, or check `base_url`"
                )
            if isinstance(error, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(error):
                if proxy is not None and os.environ.get(proxy, "").startswith("https:"):
                    return (
                        f"the proxy does not speak TLS; write http:// in the environment variable {proxy}, or check "
                        "its port"
                    )
                return "it does not speak TLS; write http:// in `base_url`, or check the port"
    return None


def _variable_of(proxy: str) -> str:
    variables = (f"{proxy}_proxy", f"{proxy.upper()}_PROXY")
    return next((known for known in variables if os.environ.get(known)), variables[1])


def _trusted_now() -> str:
    names = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)]
    if names:
        return f" (now {' and '.join(f'{name} names {os.environ[name]}' for name in names)})"
    others = [name for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if os.environ.get(name)]
    return f" ({others[0]} is ignored here)" if others else ""


def _mistake_in(key: str) -> str | None:
    """Why no header can carry a key; nothing of the key is told but the character at fault."""
    if key[0] in _QUOTES or key[-1] in _QUOTES:
        return "it stands in quotation marks"
    if key.casefold().startswith("bearer "):
        return "it begins with 'Bearer', which is added when it is sent"
    for place, character in enumerate(key, 1):
        if character in "\r\n":
            return f"it holds a line break (character {place})"
        if character.isspace():
            return f"it holds a blank (character {place})"
        if not character.isascii() or not character.isprintable():
            return f"character {place} is U+{ord(character):04X}, which no key has"
    if "=" in key and re.match(r"[A-Z][A-Z0-9_]*_KEY=", key):
        return "it begins with the name of a variable"
    if key.startswith(("$", "<", "{{")) or re.fullmatch(r"%\w+%", key):
        return "it is a placeholder that nothing has filled in"
    return None


def _mistake_in_proxy(address: str) -> str | None:
    if not address.strip():
        return None  # Taken for none.
    if address[0] in _QUOTES or address[-1] in _QUOTES:
        return "it stands in quotation marks"
    if any(character.isspace() for character in address):
        return "it holds a blank or a line break"
    try:
        proxy = urlsplit(address if "://" in address else f"http://{address}")
        host, _ = proxy.hostname, proxy.port
    except ValueError as error:
        # Python names what it took for the port, which may be a part of the password.
        why = "characters such as / # ? @ of a password are written %2F %23 %3F %40" if "@" in address else error
        return f"{_without_password(address)!r} is no address ({why})"
    if "://" not in address and proxy.path.strip("/"):
        return f"{_without_password(address)!r} is no address"
    if proxy.scheme not in _PROXY_SCHEMES:
        return f"{proxy.scheme}:// is not supported, {' and '.join(f'{name}://' for name in _PROXY_SCHEMES)} are"
    return None if host else f"{_without_password(address)!r} names no machine"


def _without_password(address: str) -> str:
    return address.rpartition("@")[2]
