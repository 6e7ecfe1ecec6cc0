"""Enrolment over real HTTPS: the client of `sopwith_certs.est` against the controller's own web port."""

import asyncio
import base64
import http.client
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from sopwith_certs.authority import read_certificate
from sopwith_certs.errors import EnrolmentRefusedError, TrustError, UnavailableError
from sopwith_certs.est import Directions, EstClient, Issued, Pending, fetch_cacerts
from sopwith_certs.est_messages import encode_body, make_request
from sopwith_certs.identity import Kind, identity_of_certificate
from sopwith_certs.renewal import write_pair
from sopwith_certs.signing import fingerprint, new_key
from sopwith_controller.console import enrolment as routes
from sopwith_controller.domain.entities import ComputerState
from tests.certs.fleet import TRUST_DOMAIN, authority, pair
from tests.console.web import SECRET, Web, web_port


async def in_thread(function: Any, *args: Any, **options: Any) -> Any:
    return await asyncio.to_thread(function, *args, **options)


async def client(web: Web) -> EstClient:
    return await asyncio.to_thread(EstClient.from_join, web.join())


async def ask(
    web: Web, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Make one bare HTTPS request, as an attacker would."""

    def exchange() -> tuple[int, dict[str, str], bytes]:
        context = ssl.create_default_context(cadata=web.issuer.trust_bundle_pem.decode())
        connection = http.client.HTTPSConnection("127.0.0.1", web.port, timeout=10, context=context)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    return await asyncio.to_thread(exchange)


def basic(name: str, token: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{token}".encode()).decode()}


async def test_computer_enrols_with_its_join_string(tmp_path: Path) -> None:
    async with web_port(tmp_path) as web:
        await web.token()
        key = new_key()
        est = await client(web)

        answer = await in_thread(est.enrol, make_request(key), name="pc1", token=web.join().token)
        directions = await in_thread(est.directions)

    assert isinstance(answer, Issued)
    identity = identity_of_certificate(read_certificate(answer.certificate_pem), directions.trust_domain)
    assert identity.kind is Kind.COMPUTER
    assert isinstance(directions, Directions)
    assert directions.fleet_address == "127.0.0.1:7443"


async def test_person_enrols_the_same_way(tmp_path: Path) -> None:
    async with web_port(tmp_path) as web:
        await web.invitation("manager", "it_manager")
        est = await client(web)

        answer = await in_thread(est.enrol, make_request(new_key()), token=SECRET)

    assert identity_of_certificate(read_certificate(answer.certificate_pem), TRUST_DOMAIN).id == "p-manager"


async def test_used_token_is_refused_with_its_mend(tmp_path: Path) -> None:
    async with web_port(tmp_path) as web:
        await web.token()
        est = await client(web)
        await in_thread(est.enrol, make_request(new_key()), name="pc1", token=SECRET)

        with pytest.raises(EnrolmentRefusedError, match="used already") as refusal:
            await in_thread(est.enrol, make_request(new_key()), name="pc2", token=SECRET)

    assert "sopwith token create" in refusal.value.remedy


async def test_token_reaches_no_log(tmp_path: Path) -> None:
    async with web_port(tmp_path) as web:
        await web.token(uses_left=0)
        est = await client(web)

        with structlog.testing.capture_logs() as events, pytest.raises(EnrolmentRefusedError):
            await in_thread(est.enrol, make_request(new_key()), name="pc1", token=SECRET)

    assert [event["event"] for event in events] == ["enrolment_refused"]
    assert SECRET not in repr(events)


async def test_failure_inside_shows_nothing_of_the_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_request: bytes) -> None:
        raise RuntimeError("inner secret")

    async with web_port(tmp_path) as web:
        monkeypatch.setattr(web.enrolment, "reenrol", fail)

        status, _, body = await ask(
            web, "POST", "/.well-known/est/simplereenroll", encode_body(make_request(new_key()))
        )
        again, _, _ = await ask(web, "GET", "/.well-known/est/cacerts")

    assert (status, again) == (500, 200)
    assert b"inner secret" not in body


async def test_taken_name_is_refused_with_its_mend(tmp_path: Path) -> None:
    async with web_port(tmp_path) as web:
        await web.token(uses_left=2)
        est = await client(web)
        await in_thread(est.enrol, make_request(new_key()), name="pc1", token=SECRET)

        with pytest.raises(EnrolmentRefusedError, match="pc1 already") as refusal:
            await in_thread(est.enrol, make_request(new_key()), name="pc1", token=SECRET)

    assert "--name" in refusal.value.remedy


async def test_computer_without_a_token_waits_and_comes_in_after_it_was_accepted(tmp_path: Path) -> None:
    async with web_port(tmp_path) as web:
        est = await client(web)
        request = make_request(new_key())

        waiting = await in_thread(est.enrol, request, name="pc1")
        (computer,) = await web.computers()
        await web.put("computers", replace(computer, state=ComputerState.ACCEPTED))
        answer = await in_thread(est.enrol, request, name="pc1")

    assert waiting == Pending(5)
    assert isinstance(answer, Issued)


async def test_waiting_computer_is_told_its_own_fingerprint(tmp_path: Path) -> None:
    key = new_key()
    async with web_port(tmp_path) as web:
        status, headers, body = await ask(
            web, "POST", "/.well-known/est/simpleenroll", encode_body(make_request(key)), basic("pc1", "")
        )

    assert (status, headers["retry-after"]) == (202, "5")
    assert fingerprint(key.public_key()) in body.decode()


async def test_known_key_is_enrolled_again_without_any_certificate(tmp_path: Path) -> None:
    async with web_port(tmp_path) as web:
        await web.token()
        key = new_key()
        est = await client(web)
        await in_thread(est.enrol, make_request(key), name="pc1", token=SECRET)

        answer = await in_thread(est.reenrol, make_request(key))

    assert read_certificate(answer.certificate_pem).public_key() == key.public_key()


async def test_stranger_is_not_enrolled_again(tmp_path: Path) -> None:
    async with web_port(tmp_path) as web:
        est = await client(web)

        with pytest.raises(EnrolmentRefusedError, match="has this key"):
            await in_thread(est.reenrol, make_request(new_key()))


async def test_join_string_of_another_fleet_is_not_believed(tmp_path: Path) -> None:
    async with web_port(tmp_path) as web:
        with pytest.raises(TrustError, match="the join string pins"):
            await in_thread(fetch_cacerts, web.join(ca_fingerprint=authority().fingerprint))


async def test_man_in_between_who_passes_the_real_authority_on_is_found(tmp_path: Path) -> None:
    async with web_port(tmp_path, shown=authority()) as web:
        est = await client(web)

        with pytest.raises(TrustError, match="cannot prove that it is the controller"):
            await in_thread(est.enrol, make_request(new_key()), name="pc1", token=SECRET)

        assert await web.computers() == []


async def test_controller_under_another_address_is_not_believed(tmp_path: Path) -> None:
    async with web_port(tmp_path, address="127.0.0.9") as web:
        est = await client(web)

        with pytest.raises(TrustError, match="cannot prove that it is the controller"):
            await in_thread(est.directions)


async def test_no_credentials_at_all_are_asked_for(tmp_path: Path) -> None:
    async with web_port(tmp_path) as web:
        status, headers, _ = await ask(
            web, "POST", "/.well-known/est/simpleenroll", encode_body(make_request(new_key()))
        )

    assert (status, headers["www-authenticate"]) == (401, 'Basic realm="sopwith"')


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"\xff\xfe", base64.b64encode(b"no request"), b"MIIB", base64.b64encode(b"\x30\x80" * 99)]
)
async def test_bodies_that_are_no_request_are_refused_in_words(tmp_path: Path, body: bytes) -> None:
    async with web_port(tmp_path) as web:
        status, _, text = await ask(web, "POST", "/.well-known/est/simpleenroll", body, basic("pc1", SECRET))

    assert status == 400
    assert b"Traceback" not in text
    assert SECRET.encode() not in text


async def test_body_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    async with web_port(tmp_path) as web:
        status, _, _ = await ask(web, "POST", "/.well-known/est/simplereenroll", b"A" * (routes.BODY_SIZE_MAX + 1))

    assert status == 413


async def test_key_that_asks_too_often_is_told_when_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "KEY_BURST", 2)
    async with web_port(tmp_path) as web:
        est = await client(web)
        request = make_request(new_key())
        for _ in range(2):
            await in_thread(est.enrol, request, name="pc1")

        with pytest.raises(UnavailableError, match="too many requests") as refusal:
            await in_thread(est.enrol, request, name="pc1")
        other = await in_thread(est.enrol, make_request(new_key()), name="pc2")

    assert 1 <= refusal.value.retry_after_seconds <= 2
    assert isinstance(other, Pending)


async def test_address_that_asks_too_often_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "ADDRESS_BURST", 3)
    monkeypatch.setattr(routes, "ADDRESS_SECONDS", 60.0)
    async with web_port(tmp_path) as web:
        answers = [(await ask(web, "GET", "/.well-known/est/cacerts"))[0] for _ in range(4)]

    assert answers == [200, 200, 200, 429]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/.well-known/est/",
        "/.well-known/est/serverkeygen",
        "/.well-known/est/csrattrs",
        "/.well-known/est/fullcmc",
        "/source/",
        "/admin",
        "/.well-known/sopwith/",
    ],
)
async def test_everything_else_is_a_plain_404(tmp_path: Path, path: str) -> None:
    async with web_port(tmp_path) as web:
        status, headers, body = await ask(web, "GET", path)

    assert (status, body) == (404, b"not found")
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


async def test_renewed_web_certificate_is_taken_up_without_a_restart(tmp_path: Path) -> None:
    successor = authority()
    async with web_port(tmp_path) as web:
        before = EstClient("127.0.0.1", web.port, web.issuer.trust_bundle_pem)
        after = EstClient("127.0.0.1", web.port, successor.trust_bundle_pem)
        await in_thread(before.directions)

        write_pair(tmp_path / "server", pair(successor, Kind.CONTROLLER, "controller-1"))
        async with asyncio.timeout(5):
            while True:
                try:
                    await in_thread(after.directions)
                    break
                except TrustError:
                    continue

        with pytest.raises(TrustError):
            await in_thread(before.directions)


async def test_broken_web_certificate_leaves_the_good_one_in_force(tmp_path: Path) -> None:
    async with web_port(tmp_path) as web:
        est = await client(web)
        (tmp_path / "server" / "pair-broken").mkdir()
        with structlog.testing.capture_logs() as events:
            (tmp_path / "server" / "pair").unlink()
            (tmp_path / "server" / "pair").symlink_to("pair-broken")
            async with asyncio.timeout(5):
                while not events:
                    await in_thread(est.directions)

        directions = await in_thread(est.directions)

    assert [event["event"] for event in events] == ["web_certificate_refused"]
    assert directions.trust_domain == TRUST_DOMAIN


async def test_taken_port_is_said_in_words(tmp_path: Path) -> None:
    async with web_port(tmp_path) as web:
        from sopwith_controller.console.web_server import WebServer

        second = WebServer(lambda *_: None, tmp_path / "server", "127.0.0.1", web.port)  # type: ignore[arg-type]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{web.port}"):
            await second.start()
