"""Keys, proxies and certificates that cannot work are named before the first request."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.requests import EndpointError
from stablellava_assets_tests.endpoint.questions import ask, settings_of
from stablellava_assets_tests.fakes.loopback import loopback
from stablellava_assets_tests.fakes.raw_server import completion, raw_server
from stablellava_assets_tests.fakes.serving import Handler, Server, serving
from stablellava_assets_tests.painters.certificates import signing_files

FAR = "https://models.example.invalid/v1"


def checked(tmp_path: Path, url: str = FAR) -> None:
    ChatEndpoint(settings_of(url), tmp_path / "ledger.sqlite").check()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        for variable in (name, name.upper()):
            monkeypatch.delenv(variable, raising=False)
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize(
    ("key", "mistake"),
    [
        ("sk-abc\u2019def", "character 7 is U\\+2019"),
        ("\ufeffsk-abc", "character 1 is U\\+FEFF"),
        ("sk-abc\ndef", "a line break"),
        ("sk-abc def", "a blank"),
        ("sk-abc\u00a0def", "a blank"),
        ("sk-abc\x07", "U\\+0007"),
        ('"sk-abc"', "quotation marks"),
        ("Bearer sk-abc", "'Bearer'"),
        ("${OPENAI_API_KEY}", "a placeholder"),
        ("$OPENAI_API_KEY", "a placeholder"),
        ("%OPENAI_API_KEY%", "a placeholder"),
        ("OPENAI_API_KEY=sk-abc", "the name of a variable"),
    ],
)
def test_a_key_that_no_header_carries_names_its_variable_and_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, mistake: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(EndpointError, match=f"OPENAI_API_KEY cannot be a key: .*{mistake}") as raised:
        checked(tmp_path)
    assert "abc" not in str(raised.value)


def test_a_key_with_blanks_around_it_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "  sk-abc\n")
    checked(tmp_path)


@pytest.mark.parametrize("variable", ["ALL_PROXY", "https_proxy", "HTTP_PROXY"])
@pytest.mark.parametrize(
    ("address", "mistake"),
    [
        ("socks://127.0.0.1:1080", "socks:// is not supported"),
        ("socks5://127.0.0.1:1080", "socks5:// is not supported"),
        ("http://user:secret@proxy.example:port", "is no address"),
        ("http://", "names no machine"),
        ("http://user:secret/1@proxy.example:3128", "of a password are written %2F"),
        ("http://user:secret#1@proxy.example:3128", "of a password are written %2F"),
        ('"http://user:secret@proxy.example:3128"', "quotation marks"),
        ("http://proxy.example:3128\n", "a line break"),
        (" http://proxy.example:3128", "a blank"),
        ("http:/proxy.example:3128", "is no address"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, address: str, mistake: str
) -> None:
    monkeypatch.setenv(variable, address)
    with pytest.raises(EndpointError, match=f"{variable} names a proxy that cannot be used: .*{mistake}") as raised:
        checked(tmp_path)
    assert "secret" not in str(raised.value)


def test_proxies_that_can_be_used_or_are_not_meant_are_no_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "proxy.example:3128")
    checked(tmp_path)
    monkeypatch.setenv("ALL_PROXY", "socks://127.0.0.1:1080")
    with loopback() as (url, _):
        assert [outcome.status for outcome in ask(settings_of(url), tmp_path)] == ["made"], "it is on this machine"
    monkeypatch.setenv("NO_PROXY", "*")
    checked(tmp_path)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_certificates_that_are_not_there_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "/nonexistent/certificates")
    with pytest.raises(EndpointError, match=f"{variable} names /nonexistent/certificates, and there is no such"):
        checked(tmp_path)
    checked(tmp_path, "http://models.example.invalid/v1")


def test_a_file_without_certificates_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    with pytest.raises(EndpointError, match=r"cannot be read .*SSL_CERT_FILE"):
        checked(tmp_path)


def test_a_server_that_speaks_no_tls_ends_the_call(tmp_path: Path) -> None:
    with (
        raw_server(lambda body, number: (200, completion("{}"))) as (url, _),
        pytest.raises(EndpointError, match="does not speak TLS; write http://"),
    ):
        ask(settings_of(url.replace("http://", "https://")), tmp_path)


def test_a_certificate_that_nobody_trusts_ends_the_call_and_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/bundle.pem")
    files = signing_files(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(files.certificate, files.private_key)
    with (
        raw_server(lambda body, number: (200, completion("{}")), tls) as (url, bodies),
        pytest.raises(
            EndpointError,
            match=r"its certificate is not trusted .*SSL_CERT_FILE \(REQUESTS_CA_BUNDLE is ignored here\)",
        ),
    ):
        ask(settings_of(url), tmp_path)
    assert bodies == []


@contextmanager
def proxy_answering(status: str) -> Iterator[str]:
    """A proxy that answers whatever it is asked with this status."""

    class Proxy(Handler):
        protocol_version = "HTTP/1.0"

        def do_CONNECT(self) -> None:
            self.connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    with serving(Server(Proxy)) as address:
        yield address.replace("//", "//user:hunter22@")


@pytest.mark.parametrize("mode", ["live", "batch"])
@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("407 Proxy Authentication Required", "requires a user name and a password; check HTTPS_PROXY"),
        ("403 Forbidden", "check HTTPS_PROXY, or name the endpoint in NO_PROXY"),
    ],
)
def test_a_proxy_that_leads_nowhere_ends_the_call_and_names_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, status: str, words: str
) -> None:
    with proxy_answering(status) as address:
        monkeypatch.setenv("HTTPS_PROXY", address)
        with pytest.raises(EndpointError, match=f"HTTP {status[:3]} and leads nowhere.*{words}") as raised:
            ask(settings_of(FAR, mode=mode), tmp_path)
    assert "hunter22" not in str(raised.value)


def test_a_proxy_that_fails_for_now_defers_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy_answering("502 Bad Gateway") as address:
        monkeypatch.setenv("HTTPS_PROXY", address)
        (outcome,) = ask(settings_of(FAR, attempts=2), tmp_path)
        assert (outcome.status, outcome.fault) == ("deferred", "endpoint")
        assert "the proxy of HTTPS_PROXY answers HTTP 502" in str(outcome.reason)
        monkeypatch.setenv("HTTPS_PROXY", address.replace("http:", "https:"))
        with pytest.raises(EndpointError, match=r"the proxy does not speak TLS; write http:// in .* HTTPS_PROXY"):
            ask(settings_of(FAR, attempts=2), tmp_path)
