"""Proxies on the way to a source: which one is asked, what it sees, and what it may not do.

Against a real HTTPS server and a real proxy on loopback, under a name that is not loopback's, so that nothing is left
out for being local.
"""

from pathlib import Path

import pytest
import trustme

from sopwith_agent.adapters.proxies import ProxyChoice
from sopwith_agent.adapters.sensors.source_reach import source_reach
from sopwith_agent.adapters.source_folder import SourceFolder
from sopwith_agent.adapters.source_metadata import SourceMetadata
from sopwith_agent.adapters.source_transport import Transport
from sopwith_agent.adapters.source_watch import TransferLimits
from sopwith_agent.domain.errors import StepError
from sopwith_formats.vocabulary import Symptom
from tests.faults.hostile_source import HostileServer, SourceRepository
from tests.faults.tls_servers import HOST, proxy_to, serving_tls

LIMITS = TransferLimits(2, 0.5, 1024)


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, Path]:
    ca, path = trustme.CA(), tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return ca, path


@pytest.fixture(autouse=True)
def no_proxy_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "all_proxy", "no_proxy", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def refreshed_through(proxies: ProxyChoice, server: HostileServer, ca: Path, folder: Path) -> dict[str, int]:
    trust = SourceFolder(folder)
    trust.trust(server.repository.files["/metadata/1.root.json"])
    with Transport(ca, LIMITS, proxies) as transport:
        return SourceMetadata(trust, f"https://{HOST}:8443/metadata/", transport).refresh().versions


@pytest.mark.parametrize("way", ["setting", "HTTPS_PROXY", "ALL_PROXY"])
def test_source_is_reached_through_a_proxy_that_sees_only_its_name(authority, tmp_path, monkeypatch, way):
    ca, path = authority
    with serving_tls(SourceRepository(), ca) as server, proxy_to(int(server.base.rpartition(":")[2])) as proxy:
        choice = ProxyChoice(proxy.url) if way == "setting" else ProxyChoice()
        if way != "setting":
            monkeypatch.setenv(way, proxy.url)

        versions = refreshed_through(choice, server, path, tmp_path / "trust")
        reach = source_reach(f"https://{HOST}:8443/metadata/", path, choice)

    assert versions["timestamp"] == 1
    assert {asked.splitlines()[0] for asked in proxy.asked} <= {
        f"CONNECT {HOST}:8443 HTTP/1.{minor}" for minor in (0, 1)
    }
    assert proxy.asked
    assert reach is not None
    assert (reach.failed_at, reach.proxy) == ("", f"127.0.0.1:{proxy.port}")


def test_proxy_is_told_who_asks_and_nobody_else_is(authority, tmp_path):
    ca, path = authority
    secret = tmp_path / "secret"
    secret.write_text("user:canary\n")
    with serving_tls(SourceRepository(), ca) as server, proxy_to(int(server.base.rpartition(":")[2])) as proxy:
        choice = ProxyChoice(proxy.url, credentials=f"file:{secret}")
        refreshed_through(choice, server, path, tmp_path / "trust")

        assert "Proxy-Authorization: Basic dXNlcjpjYW5hcnk=" in proxy.asked[0]
        assert all("Proxy-Authorization" not in headers for _, headers in server.requests)
        assert "canary" not in repr(choice.proxy_for(HOST))


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway"])
def test_proxy_that_refuses_is_named_and_is_not_the_source(authority, tmp_path, status):
    ca, path = authority
    with serving_tls(SourceRepository(), ca) as server, proxy_to(int(server.base.rpartition(":")[2])) as proxy:
        proxy.refuses = status
        with pytest.raises(StepError) as caught:
            refreshed_through(ProxyChoice(proxy.url), server, path, tmp_path / "trust")
        reach = source_reach(f"https://{HOST}:8443/", path, ProxyChoice(proxy.url))

    assert caught.value.symptom is Symptom.NET_SOURCE_UNREACHABLE
    assert status[:3] in caught.value.message
    assert f"127.0.0.1:{proxy.port}" in caught.value.message
    assert reach is not None
    assert reach.failed_at == "proxy"
    assert status in reach.failure


def test_proxy_that_puts_itself_in_the_middle_is_not_believed(authority, tmp_path):
    _, path = authority
    with (
        serving_tls(SourceRepository(), trustme.CA()) as impostor,
        proxy_to(int(impostor.base.rpartition(":")[2])) as proxy,
        pytest.raises(StepError) as caught,
    ):
        refreshed_through(ProxyChoice(proxy.url), impostor, path, tmp_path / "trust")

    assert "TLS failed" in caught.value.message
    assert "inspecting proxy" in caught.value.remedy


@pytest.mark.parametrize(
    ("choice", "environment", "host", "goes"),
    [
        (ProxyChoice("none"), {"HTTPS_PROXY": "http://p:1"}, HOST, ""),
        (ProxyChoice(), {}, HOST, ""),
        (ProxyChoice(), {"HTTPS_PROXY": "http://p:1"}, HOST, "p:1"),
        (ProxyChoice(), {"HTTPS_PROXY": "p"}, HOST, "p:3128"),
        (ProxyChoice(), {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other.example, .example"}, HOST, ""),
        (ProxyChoice(), {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, HOST, ""),
        (ProxyChoice(), {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "dates.example"}, HOST, "p:1"),
        (ProxyChoice(), {"HTTPS_PROXY": "http://p:1"}, "127.0.0.1", ""),
        (ProxyChoice(), {"HTTPS_PROXY": "http://p:1"}, "localhost", ""),
        (ProxyChoice("http://own:2"), {"HTTPS_PROXY": "http://p:1"}, HOST, "own:2"),
        (ProxyChoice("http://own:2", no_proxy=(HOST,)), {}, HOST, ""),
    ],
)
def test_proxy_is_chosen_as_other_programs_do(monkeypatch, choice, environment, host, goes):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert str(choice.proxy_for(host) or "") == goes


@pytest.mark.parametrize("address", ["socks5://user:canary@p:1", "http://p:99999", "http://"])
def test_proxy_without_a_usable_address_is_refused_without_its_password(monkeypatch, address):
    monkeypatch.setenv("HTTPS_PROXY", address)

    with pytest.raises(StepError) as caught:
        ProxyChoice().proxy_for(HOST)

    assert "canary" not in str(caught.value)


def test_mirror_of_a_public_authority_and_of_the_fleets_are_both_believed(authority, monkeypatch):
    ca, path = authority
    public = trustme.CA()
    with trustme.Blob(public.cert_pem.bytes()).tempfile() as system:
        monkeypatch.setenv("SSL_CERT_FILE", system)
        for issuer in (ca, public):
            with serving_tls(SourceRepository(), issuer) as server, Transport(path, LIMITS, public=True) as transport:
                timestamp = f"{server.metadata_url}timestamp.json"
                with transport.get(timestamp, deadline=float("inf")) as answer:
                    assert answer.status == 200
