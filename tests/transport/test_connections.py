"""The way out: proxies and private authorities as users of requests know them; what is kept."""

from __future__ import annotations

import os
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from flakegate.errors import BackendError, NothingChangedError
from flakegate.transport.client import Transport
from flakegate.transport.waiting import Patience, Timer
from tests.faults import Front, Reply, Request
from tests.private_ca import PrivateCA, private_ca
from tests.tunnel import Tunnel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "0123456789abcdef-key"
PASSWORD = "hunter2-of-the-proxy"  # noqa: S105 - made up
HOST = "api.datadoghq.eu"

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is missing")


class Service(Front):
    """Answers everything."""

    def answer(self, request: Request) -> Reply:
        return Reply(body=request.path.encode(), headers={"Set-Cookie": "track=me; Path=/"})


@pytest.fixture(autouse=True)
def no_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's proxies and certificates."""
    for name in os.environ:
        if name.lower().endswith("_proxy") or name in {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> PrivateCA:
    return private_ca(tmp_path_factory.mktemp("ca"), f"DNS:{HOST}", "IP:127.0.0.1")


@pytest.fixture
def service(authority: PrivateCA) -> Iterator[Service]:
    with Service(tls=authority.server) as service:
        yield service


@pytest.fixture
def plain() -> Iterator[Service]:
    with Service() as service:
        yield service


def sent(url: str, *, plain_http: bool = False) -> bytes:
    transport = Transport(
        url,
        headers={"DD-API-KEY": KEY},
        patience=Patience(retries=1, read=5),
        timer=Timer(sleep=lambda _: None),
        plain_http=plain_http,
    )
    try:
        return transport.send("POST", "/x", b"{}")
    finally:
        transport.close()


def refused(url: str) -> NothingChangedError:
    with pytest.raises(NothingChangedError) as caught:
        sent(url)
    return caught.value


@needs_openssl
def test_a_certificate_of_nobody_is_not_trusted(service: Service) -> None:
    error = refused(service.url)
    assert "the server's certificate is not trusted" in error.message
    assert "attempts" not in error.message
    assert "REQUESTS_CA_BUNDLE" in (error.tip or "")
    assert service.requests == []


@needs_openssl
@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_private_authority_is_trusted_where_it_is_named(
    service: Service, authority: PrivateCA, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(authority.certificate))
    assert sent(service.url) == b"/x"
    assert service.requests[0].headers["dd-api-key"] == KEY


@needs_openssl
def test_what_openssl_reads_is_not_read(
    service: Service, authority: PrivateCA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    assert "not trusted" in refused(service.url).message


@needs_openssl
def test_a_certificate_of_another_host_is_not_trusted(
    service: Service, authority: PrivateCA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificate))
    assert "not trusted" in refused(f"https://localhost:{service.port}").message


def test_an_authority_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    error = refused("https://127.0.0.1:1")
    assert "gone.pem': No such file or directory" in error.message


def test_an_authority_that_is_none(
    plain: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    error = refused(f"https://127.0.0.1:{plain.port}")
    assert "ca.pem': holds no certificate" in error.message


def test_tls_to_what_speaks_none(plain: Service) -> None:
    with pytest.raises(BackendError, match=r"no TLS connection \(2 attempts\)"):
        sent(f"https://127.0.0.1:{plain.port}")
    assert plain.requests == []


@needs_openssl
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_leads_there_and_sees_no_key(
    service: Service, authority: PrivateCA, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificate))
    with Tunnel(ways={f"{HOST}:443": service.port}, login=f"ann:{PASSWORD}") as proxy:
        monkeypatch.setenv(name, f"http://ann:{PASSWORD}@{proxy.address}")
        assert sent(f"https://{HOST}") == b"/x"
        assert proxy.asked == [f"{HOST}:443"]
        assert KEY not in "".join(proxy.seen)
    assert service.requests[0].headers["dd-api-key"] == KEY


@needs_openssl
def test_no_proxy_goes_straight(
    service: Service, authority: PrivateCA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificate))
    with Tunnel(ways={}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert sent(service.url) == b"/x"
        assert proxy.asked == []


def test_a_proxy_that_wants_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    with Tunnel(ways={}, login="ann:right") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://ann:{PASSWORD}@{proxy.address}")
        error = refused(f"https://{HOST}")
        assert proxy.asked == [f"{HOST}:443"]
    refusal = "the proxy refuses the connection: 407 Proxy Authentication Required"
    assert error.message == f"POST https://{HOST}/x: {refusal}"
    assert "HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT" in (error.tip or "")


def test_a_proxy_that_finds_no_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with Tunnel(ways={}) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        error = refused(f"https://{HOST}")
    assert "the proxy refuses the connection: 502 Bad Gateway (2 attempts)" in error.message


@pytest.mark.parametrize(
    ("proxy", "says"),
    [
        (f"http://ann:{PASSWORD}@127.0.0.1:1", r"the proxy: connection refused \(2 attempts\)"),
        (f"http://ann:{PASSWORD}@", "is not the address of one"),
        (f"http://ann:{PASSWORD}@host:port", "is not the address of one"),
        (f"gopher://ann:{PASSWORD}@127.0.0.1:1", "is not the address of one"),
        (":::", "is not the address of one"),
        (f"socks5://ann:{PASSWORD}@127.0.0.1:1", r"no SOCKS proxy can be used|no connection"),
    ],
)
def test_a_proxy_that_is_none(monkeypatch: pytest.MonkeyPatch, proxy: str, says: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    error = refused(f"https://{HOST}")
    assert re.search(says, error.message)
    assert "HTTPS_PROXY" in (error.tip or "")
    assert PASSWORD not in f"{error.message} {error.tip}"


def test_a_proxy_never_sees_plain_http_to_this_machine(
    plain: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Tunnel(ways={}) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://{proxy.address}")
        monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
        assert sent(plain.url) == b"/x"
        assert proxy.seen == []


def test_plain_http_elsewhere_that_was_asked_for_takes_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Service() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert sent("http://datadog.intranet", plain_http=True) == b"http://datadog.intranet/x"


@needs_openssl
def test_netrc_adds_and_replaces_nothing(
    service: Service, authority: PrivateCA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ann password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificate))
    sent(service.url)
    assert "authorization" not in service.requests[0].headers
    transport = Transport(service.url, headers={"Authorization": "Bearer of-a-token"})
    transport.send("POST", "/x", b"{}")
    transport.close()
    assert service.requests[1].headers["authorization"] == "Bearer of-a-token"


def test_connections_are_kept_and_cookies_are_not(plain: Service) -> None:
    transport = Transport(plain.url, headers={})
    for _ in range(5):
        transport.send("POST", "/x", b"{}")
    assert plain.connections == 1
    assert not any("cookie" in request.headers for request in plain.requests)
    transport.close()
    transport.send("POST", "/x", b"{}")
    transport.close()
    assert plain.connections == 2


def test_threads_share_what_is_kept(plain: Service) -> None:
    transport = Transport(plain.url, headers={})
    together = Barrier(4)

    def ask(path: str) -> bytes:
        together.wait(10)
        return transport.send("POST", path, b"{}")

    for _ in range(3):  # new threads each time, as searches side by side start them
        with ThreadPoolExecutor(4) as threads:
            paths = [f"/{number}" for number in range(40)]
            assert list(threads.map(ask, paths)) == [path.encode() for path in paths]
    assert plain.connections <= 4
    transport.close()


def test_headers_that_drip_meet_the_timeout_of_an_answer(plain: Service) -> None:
    plain.always = Reply(drip=0.03, drip_head=True, body=b"x")
    transport = Transport(plain.url, headers={}, patience=Patience(read=0.3, retries=0))
    with pytest.raises(BackendError, match="no answer in time"):
        transport.send("POST", "/x", b"{}")
    transport.close()


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        (Reply(drip=0.8, drip_head=True), 0.9),  # the second byte would come in time for a new one
        (Reply(raw=b"HTTP/1.1 100 Continue\r\n\r\n" * 500_000), 0.2),
    ],
    ids=["drip", "flood"],
)
def test_a_head_has_one_timeout_and_not_one_for_each_part(
    plain: Service, reply: Reply, read: float
) -> None:
    plain.always = reply
    transport = Transport(plain.url, headers={}, patience=Patience(read=read, retries=0))
    began = time.monotonic()
    with pytest.raises(BackendError, match="no answer in time"):
        transport.send("POST", "/x", b"{}")
    assert time.monotonic() - began < read + 0.6
    transport.close()


def test_a_body_may_take_longer_than_a_single_read(plain: Service) -> None:
    plain.always = Reply(drip=0.05, body=b"x" * 30)
    transport = Transport(plain.url, headers={}, patience=Patience(read=1, retries=0))
    assert transport.send("POST", "/x", b"{}") == b"x" * 30
    transport.close()
