"""What the asking side of enrolment makes of servers that lie, drip, break off or are somebody else."""

import contextlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from sopwith_certs import est
from sopwith_certs.authority import Authority, Subject, read_certificate
from sopwith_certs.errors import EnrolmentRefusedError, TrustError, UnavailableError
from sopwith_certs.est import EstClient, Issued, Pending, fetch_cacerts
from sopwith_certs.est_messages import decode_certificates, encode_body, encode_certificates, make_request
from sopwith_certs.identity import Kind
from sopwith_certs.signing import PrivateKey, new_key
from sopwith_formats.errors import FormatError
from sopwith_formats.join import Join
from tests.certs.fleet import authority, now, pair


class Server:
    """An HTTPS server that answers whatever a test tells it to."""

    def __init__(self, folder: Path, issuer: Authority) -> None:
        self.issuer = issuer
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b""
        self.pieces: Iterator[bytes] | None = None
        shown = pair(issuer, Kind.CONTROLLER, "controller-1")
        (folder / "server.pem").write_bytes(shown.key_pem + shown.certificate_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem")
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def client(self, timeout_seconds: float = 5) -> EstClient:
        return EstClient("127.0.0.1", self.port, self.issuer.trust_bundle_pem, timeout_seconds=timeout_seconds)

    def certificate(self, issuer: Authority, key: PrivateKey) -> bytes:
        certificate = issuer.issue(key.public_key(), Subject(Kind.COMPUTER, "c-1"), now())
        return encode_certificates([certificate])

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(server.status)
                for name, value in server.headers.items():
                    self.send_header(name, value)
                if server.pieces is None:
                    self.send_header("Content-Length", str(len(server.body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    for piece in server.pieces or [server.body]:
                        self.wfile.write(piece)
                        self.wfile.flush()

            do_POST = do_GET  # noqa: N815  the library's name

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path, authority()) as running:
        yield running


def test_certificate_for_the_asked_key_is_taken(server: Server) -> None:
    key = new_key()
    server.body = server.certificate(server.issuer, key)

    answer = server.client().enrol(make_request(key), name="pc1", token="t")

    assert isinstance(answer, Issued)
    assert read_certificate(answer.certificate_pem).public_key() == key.public_key()


def test_certificate_for_another_key_is_not_taken(server: Server) -> None:
    server.body = server.certificate(server.issuer, new_key())

    with pytest.raises(TrustError, match="another key"):
        server.client().enrol(make_request(new_key()), name="pc1")


def test_certificate_of_another_authority_is_not_taken(server: Server) -> None:
    key = new_key()
    server.body = server.certificate(authority(), key)

    with pytest.raises(TrustError, match="another authority"):
        server.client().reenrol(make_request(key))


@pytest.mark.parametrize("body", [b"", b"hello", b"\x00\xff", b"TUlJQg==", b"<html>Sign in to this network</html>"])
def test_answer_that_is_no_certificate_is_not_taken(server: Server, body: bytes) -> None:
    server.body = body

    with pytest.raises(TrustError, match="something else than a certificate"):
        server.client().enrol(make_request(new_key()), name="pc1")
    with pytest.raises(TrustError, match="shows no certificate authority"):
        fetch_cacerts(Join("127.0.0.1", server.port, server.issuer.fingerprint))


def test_authority_is_picked_by_its_fingerprint_among_several(server: Server) -> None:
    server.body = encode_certificates([authority().certificate, server.issuer.certificate])

    ca_pem = fetch_cacerts(Join("127.0.0.1", server.port, server.issuer.fingerprint))

    assert ca_pem == server.issuer.trust_bundle_pem


def test_endless_answer_is_broken_off(server: Server) -> None:
    server.pieces = iter(lambda: b"A" * 65536, b"")

    with pytest.raises(TrustError, match="more than"):
        server.client().directions()


def test_dripping_answer_is_broken_off(server: Server) -> None:
    stop = threading.Event()

    def drip() -> Iterator[bytes]:
        while not stop.wait(0.02):
            yield b"A"

    server.pieces = drip()

    with pytest.raises(UnavailableError, match=r"no answer within 0\.3 s"):
        server.client(timeout_seconds=0.3).directions()
    stop.set()


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7), ("", 10), ("Wed, 21 Oct 2026 07:28:00 GMT", 10), ("99999999", 3600)]
)
def test_waiting_is_bounded_whatever_the_server_wishes(server: Server, value: str, seconds: int) -> None:
    server.status, server.headers = 202, {"Retry-After": value}

    answer = server.client().enrol(make_request(new_key()), name="pc1")

    assert answer == Pending(seconds)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_busy_or_broken_server_means_later(server: Server, status: int) -> None:
    server.status, server.headers, server.body = status, {"Retry-After": "3"}, b"not now"

    with pytest.raises(UnavailableError, match="not now") as error:
        server.client().reenrol(make_request(new_key()))
    assert error.value.retry_after_seconds == 3


def test_refusal_carries_reason_and_mend_without_anything_that_paints_a_terminal(server: Server) -> None:
    server.status, server.body = 403, b"this token was used\x1b[2J already\nask for \x07another\r\nor leave"

    with pytest.raises(EnrolmentRefusedError) as refusal:
        server.client().enrol(make_request(new_key()), name="pc1")
    assert refusal.value.message == "this token was used [2J already"
    assert refusal.value.remedy == "ask for  another  or leave"


def test_redirect_is_not_followed(server: Server) -> None:
    server.status, server.headers = 302, {"Location": "https://127.0.0.1:1/"}

    with pytest.raises(EnrolmentRefusedError, match="status 302"):
        server.client().directions()


def test_other_web_server_is_named_as_such(server: Server) -> None:
    server.status, server.body = 404, b"no such page"

    with pytest.raises(EnrolmentRefusedError, match="no Sopwith controller"):
        server.client().directions()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"fleet_address": 1}', b"\xff", b'{"a": 1, "a": 2}'])
def test_directions_that_are_none_are_not_followed(server: Server, body: bytes) -> None:
    server.body = body

    with pytest.raises(TrustError, match="directions"):
        server.client().directions()


def test_directions_of_the_wrong_type_are_not_followed(server: Server) -> None:
    keys = ", ".join(f'"{key}": 1' for key in est.Directions.__dataclass_fields__)
    server.body = f"{{{keys}}}".encode()

    with pytest.raises(TrustError, match="wrong type"):
        server.client().directions()


def test_nobody_there_means_later(tmp_path: Path) -> None:
    with Server(tmp_path, authority()) as gone:
        port = gone.port
        client = gone.client()

    with pytest.raises(UnavailableError, match=f"cannot reach 127.0.0.1:{port}") as error:
        client.reenrol(make_request(new_key()))
    assert "controller runs" in error.value.remedy


def test_plain_http_server_means_later_and_never_a_certificate() -> None:
    plain = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=plain.handle_request)
    thread.start()

    with pytest.raises(UnavailableError):
        EstClient("127.0.0.1", int(plain.server_address[1]), authority().trust_bundle_pem).directions()
    thread.join(5)
    plain.server_close()


def test_certificates_travel_both_ways() -> None:
    certificates = [authority().certificate, authority().certificate]

    again = decode_certificates(encode_certificates(certificates))

    assert {one.serial_number for one in again} == {one.serial_number for one in certificates}


def test_body_without_certificates_is_none() -> None:
    with pytest.raises(FormatError):
        decode_certificates(encode_body(b"\x30\x03\x02\x01\x00"))
