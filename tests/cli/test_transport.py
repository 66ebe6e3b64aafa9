"""What a person sees of the way to Datadog: each request with -v, and never a secret."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.reports import SMALLEST, write
from tests.fake_datadog import API_KEY, APP_KEY, KEYS, PATH, FakeDatadog, flaky
from tests.faults import PASS, Reply
from tests.private_ca import private_ca
from tests.tunnel import Tunnel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import requests

    from tests.conftest import Caller

PASSWORD = "hunter2-of-the-proxy"  # noqa: S105 - made up
SECRETS = (API_KEY, APP_KEY, PASSWORD)


@pytest.fixture
def datadog(folder: Path) -> Iterator[FakeDatadog]:
    write(folder, "flakegate.yml", SMALLEST)
    with FakeDatadog(tests=[flaky("a", rate=50.0)]) as fake:
        yield fake


@pytest.mark.parametrize("command", ["plan", "apply", "run"])
def test_verbose_tells_each_request(flakegate: Caller, datadog: FakeDatadog, command: str) -> None:
    datadog.scripts = {"POST": [PASS, Reply(status=503, body=API_KEY.encode())]}
    done = flakegate(command, "-v", "--format", "json", "--api-url", datadog.url, **KEYS)
    assert done.code == 0, done.err
    assert done.out.startswith("{")
    lines = re.findall(rf"^note: (POST|PATCH) {datadog.url}{PATH}: (.+)$", done.err, re.MULTILINE)
    told = [said for _, said in lines if "trying again" not in said]
    assert len(told) == len(datadog.requests)
    assert re.fullmatch(r"200, [\d,]+ bytes, \d\.\d\d s \(attempt 1\)", told[0])
    assert re.search(r"503 Service Unavailable: \*\*\*, \d\.\d\d s \(attempt 1\)", done.err)
    assert re.search(r"200, [\d,]+ bytes, \d\.\d\d s \(attempt 2\)", done.err)
    assert not any(secret in done.out + done.err for secret in SECRETS)
    quiet = flakegate("plan", "--api-url", datadog.url, **KEYS)
    assert "attempt" not in quiet.err


def test_a_bug_among_the_keys_shows_none_of_them(
    flakegate: Caller, datadog: FakeDatadog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys and the proxy are in local variables there, and in what the bug says."""
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setenv("HTTPS_PROXY", f"http://ann:{PASSWORD}@127.0.0.1:1")

    def broken(_: object, request: requests.PreparedRequest, **options: Any) -> None:
        about = f"{request.headers} {options} via http://bob:other@proxy"
        raise RuntimeError([API_KEY, APP_KEY, about.encode()]) from ValueError(about)

    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", broken)  # the library's, not ours
    done = flakegate("plan", "-v", "--api-url", "https://127.0.0.1:9", **KEYS)
    assert done.code == 70
    (log,) = folder.glob("flakegate-*.log")
    text = log.read_text()
    assert "RuntimeError" in text
    assert "ValueError" in text
    assert "DD-API-KEY" in text
    for secret in (*SECRETS, "bob:other"):
        assert secret not in text + done.out + done.err
    assert log.stat().st_mode & 0o077 == 0
    assert datadog.requests == []


def test_a_bug_in_a_thread_of_its_own_ends_here_too(
    flakegate: Caller, datadog: FakeDatadog, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(API_KEY)

    monkeypatch.setattr("urllib3.connectionpool.HTTPConnectionPool.urlopen", broken)
    done = flakegate("apply", "--api-url", datadog.url, **KEYS)
    assert done.code == 70
    assert re.fullmatch(r"error: a bug of flakegate: RuntimeError\ntip: .+\n", done.err)
    assert API_KEY not in next(folder.glob("flakegate-*.log")).read_text()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is missing")
def test_a_real_site_through_a_proxy_and_with_a_private_authority(
    flakegate: Caller, datadog: FakeDatadog, tmp_path_factory: pytest.TempPathFactory
) -> None:
    authority = private_ca(tmp_path_factory.mktemp("ca"), "DNS:api.datadoghq.eu")
    with (
        FakeDatadog(tests=datadog.tests, tls=authority.server) as site,
        Tunnel(ways={"api.datadoghq.eu:443": site.port}, login=f"ann:{PASSWORD}") as proxy,
    ):
        env = {**KEYS, "DD_SITE": "datadoghq.eu", "NO_PROXY": "", "no_proxy": ""}
        env["HTTPS_PROXY"] = env["https_proxy"] = f"http://ann:{PASSWORD}@{proxy.address}"
        strange = flakegate("apply", **env)
        assert strange.code == 4
        assert "the server's certificate is not trusted" in strange.err
        assert "REQUESTS_CA_BUNDLE" in strange.err
        done = flakegate("apply", "-v", REQUESTS_CA_BUNDLE=str(authority.certificate), **env)
        assert done.code == 0, done.err
        assert site.states == {"a": "quarantined"}
        assert not any(key in "".join(proxy.seen) for key in (API_KEY, APP_KEY))
        assert not any(secret in done.out + done.err + strange.err for secret in SECRETS)


def test_plain_http_to_another_machine(flakegate: Caller, datadog: FakeDatadog) -> None:
    refused = flakegate("plan", "--api-url", "http://datadog.intranet", **KEYS)
    assert refused.code == 2
    assert "the keys would travel readable" in refused.err
    assert "FLAKEGATE_ALLOW_HTTP=1 allows it" in refused.err
    # As a proxy the fake is asked for http://datadog.intranet/…, which is not its path: a 404.
    env = {**KEYS, "FLAKEGATE_ALLOW_HTTP": "1", "http_proxy": datadog.url}
    allowed = flakegate("plan", "--api-url", "http://datadog.intranet", **env)
    assert allowed.code == 4
    assert "POST http://datadog.intranet" in allowed.err
    assert datadog.requests[0].path == f"http://datadog.intranet{PATH}"


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"FLAKEGATE_TIMEOUT": "soon"}, "FLAKEGATE_TIMEOUT='soon' is not a number of seconds"),
        ({"FLAKEGATE_ALLOW_HTTP": "yes"}, "FLAKEGATE_ALLOW_HTTP='yes' is neither 1 nor 0"),
    ],
)
def test_settings_of_the_environment_that_are_none(
    flakegate: Caller, datadog: FakeDatadog, env: dict[str, str], says: str
) -> None:
    done = flakegate("plan", "--api-url", datadog.url, **KEYS, **env)
    assert done.code == 2
    assert says in done.err
    assert datadog.requests == []


def test_a_redirect_is_not_followed(flakegate: Caller, datadog: FakeDatadog) -> None:
    with FakeDatadog() as elsewhere:
        for status in (301, 302, 303, 307, 308):
            datadog.always = Reply(status=status, headers={"Location": elsewhere.url + PATH})
            done = flakegate("plan", "--api-url", datadog.url, **KEYS)
            assert done.code == 4
            assert "credentials are not sent on to another address" in done.err
        assert elsewhere.requests == []
