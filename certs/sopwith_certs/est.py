"""The asking side of enrolment: EST (RFC 7030) over HTTPS, for computers and people alike.

This module decides how a join string becomes trust in an authority and then a certificate. What is done with the
certificate, and when one is renewed, belongs to the agent and to the desk; who gets one, to the controller.

Rules: the one unverified answer is `cacerts`, and of it only the certificate with the join string's fingerprint is
taken; every later connection is verified against that certificate and the host's name. The token travels as HTTP Basic
authentication, as RFC 7030 (section 3.2.3) has it: the user is the name that the asker wishes for, the password is the
token, empty for a computer that waits for a person. A certificate that comes back is used only when it is for our key
and signed by the pinned authority. Bodies are bounded, every step of an exchange has its time limit, redirects are not
followed.

>>> est = EstClient.from_join(join)                               # doctest: +SKIP
>>> answer = est.enrol(make_request(key), name="pc1", token=join.token)   # doctest: +SKIP
"""

import base64
import hashlib
import http.client
import ssl
import time
from dataclasses import dataclass
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from sopwith_certs.authority import certificate_fingerprint, certificate_pem, read_certificate
from sopwith_certs.errors import EnrolmentRefusedError, TrustError, UnavailableError
from sopwith_certs.est_messages import (
    CERTIFICATES_SIZE_MAX,
    REQUEST_TYPE,
    decode_certificates,
    encode_body,
    read_request,
)
from sopwith_formats import canonical_json
from sopwith_formats.errors import FormatError
from sopwith_formats.join import Join

TIMEOUT_SECONDS = 10.0
RETRY_AFTER_SECONDS_MAX = 3600
ROOT_VERSIONS_MAX = 32
_RETRY_AFTER_SECONDS_DEFAULT = 10
_MESSAGE_LENGTH_MAX = 500
_OK, _ACCEPTED, _BAD_REQUEST, _NOT_FOUND, _TOO_MANY, _SERVER_ERROR = 200, 202, 400, 404, 429, 500
_EST = "/.well-known/est/"


@dataclass(frozen=True)
class Issued:
    """A certificate came back. `certificate_pem` is for the requested key and signed by the pinned authority."""

    certificate_pem: bytes


@dataclass(frozen=True)
class Pending:
    """A person has to accept the computer first; ask again with the same key after so many seconds."""

    retry_after_seconds: int


@dataclass(frozen=True)
class Directions:
    """What `/.well-known/sopwith` says about the fleet, over a verified connection."""

    fleet_address: str
    trust_domain: str
    log_key: str
    warrant_keys_pem: str
    trust_bundle_pem: str
    controller_name: str


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class EstClient:
    """One controller's enrolment, as seen from a computer or from a person's machine. Blocking."""

    def __init__(self, host: str, port: int, ca_pem: bytes, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._host = host
        self._port = port
        self.ca_pem = ca_pem
        self._timeout_seconds = timeout_seconds

    @classmethod
    def from_join(cls, join: Join, *, timeout_seconds: float = TIMEOUT_SECONDS) -> Self:
        """Return a client that trusts the authority which the join string pins; TrustError when it is another."""
        ca_pem = fetch_cacerts(join, timeout_seconds=timeout_seconds)
        return cls(join.host, join.port, ca_pem, timeout_seconds=timeout_seconds)

    def enrol(self, request_der: bytes, *, name: str = "", token: str = "") -> Issued | Pending:
        """Ask for the first certificate; EnrolmentRefusedError tells the controller's reason and its mend."""
        credentials = base64.b64encode(f"{name}:{token}".encode()).decode()
        answer = self._post("simpleenroll", request_der, {"Authorization": f"Basic {credentials}"})
        if answer.status == _ACCEPTED:
            return Pending(_retry_after(answer))
        return self._issued(answer, request_der)

    def reenrol(self, request_der: bytes) -> Issued:
        """Ask for a new certificate for a key that the fleet knows, after the old one ran out."""
        return self._issued(self._post("simplereenroll", request_der, {}), request_der)

    def directions(self) -> Directions:
        """Return where the fleet is and whose keys it uses."""
        answer = self._exchange("GET", "/.well-known/sopwith", None, {})
        if answer.status != _OK:
            raise _refusal(answer, self._address)
        try:
            document = canonical_json.decode(answer.body, size_max=CERTIFICATES_SIZE_MAX)
            values = {key: document[key] for key in Directions.__dataclass_fields__}
        except (KeyError, TypeError, FormatError) as error:
            raise TrustError(f"{self._address} gives no directions to the fleet: {error}") from error
        if not all(isinstance(value, str) for value in values.values()):
            raise TrustError(f"{self._address} gives directions of the wrong type")
        return Directions(**values)

    def source_root(self, root_fingerprint: str) -> bytes:
        """Return the source's root metadata with this fingerprint, byte for byte; TrustError when none has it."""
        for version in range(1, ROOT_VERSIONS_MAX + 1):
            answer = self._exchange("GET", f"/source/metadata/{version}.root.json", None, {})
            if answer.status != _OK:
                break
            if "sha256:" + hashlib.sha256(answer.body).hexdigest() == root_fingerprint:
                return answer.body
        raise TrustError(
            f"{self._address} serves no source root {root_fingerprint}",
            remedy="ask for a new join string, made after `sopwith source init`",
        )

    @property
    def _address(self) -> str:
        return _address(self._host, self._port)

    def _post(self, operation: str, request_der: bytes, headers: dict[str, str]) -> _Answer:
        headers = {"Content-Type": REQUEST_TYPE, "Content-Transfer-Encoding": "base64", **headers}
        return self._exchange("POST", _EST + operation, encode_body(request_der), headers)

    def _exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> _Answer:
        context = ssl.create_default_context(cadata=self.ca_pem.decode())
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout_seconds, context=context)
        return _exchange(connection, method, path, body, headers)

    def _issued(self, answer: _Answer, request_der: bytes) -> Issued:
        if answer.status != _OK:
            raise _refusal(answer, self._address)
        try:
            certificates = decode_certificates(answer.body)
        except FormatError as error:
            raise TrustError(f"{self._address} answered with something else than a certificate") from error
        key = read_request(request_der)
        ours = [certificate for certificate in certificates if certificate.public_key() == key]
        if len(ours) != 1:
            raise TrustError(f"{self._address} sent a certificate for another key")
        try:
            ours[0].verify_directly_issued_by(read_certificate(self.ca_pem))
        except (InvalidSignature, ValueError, TypeError) as error:
            raise TrustError(f"{self._address} sent a certificate of another authority") from error
        return Issued(certificate_pem(ours[0]))


def fetch_cacerts(join: Join, *, timeout_seconds: float = TIMEOUT_SECONDS) -> bytes:
    """Return the authority that the join string pins, PEM; TrustError when the controller shows another.

    The connection itself is not verified: the fingerprint decides, and an answer that was tampered with has another.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(join.host, join.port, timeout=timeout_seconds, context=context)
    answer = _exchange(connection, "GET", _EST + "cacerts", None, {})
    if answer.status != _OK:
        raise _refusal(answer, join.address)
    try:
        certificates = decode_certificates(answer.body)
    except FormatError as error:
        raise TrustError(f"{join.address} shows no certificate authority: {error.message}") from error
    for certificate in certificates:
        if certificate_fingerprint(certificate) == join.ca_fingerprint:
            return certificate_pem(certificate)
    raise _other_authority(join, certificates[0])


def _other_authority(join: Join, shown: x509.Certificate) -> TrustError:
    return TrustError(
        f"{join.address} shows the authority {certificate_fingerprint(shown)}; the join string pins "
        f"{join.ca_fingerprint}",
        remedy="compare with `sopwith-controller init`'s ca_fingerprint; if it differs somebody stands in between",
    )


def _exchange(
    connection: http.client.HTTPSConnection, method: str, path: str, body: bytes | None, headers: dict[str, str]
) -> _Answer:
    address, timeout_seconds = _address(connection.host, connection.port), connection.timeout or TIMEOUT_SECONDS
    try:
        connection.request(method, path, body, {"Connection": "close", **headers})
        response = connection.getresponse()
        return _Answer(response.status, response.headers, _read(response, timeout_seconds, address))
    except ssl.SSLCertVerificationError as error:
        raise TrustError(
            f"{address} cannot prove that it is the controller: {error.verify_message}",
            remedy="check the address, and this computer's clock",
        ) from error
    except TimeoutError as error:
        raise _unavailable(address, f"no answer within {timeout_seconds:g} s") from error
    except (OSError, http.client.HTTPException) as error:
        raise _unavailable(address, str(error) or type(error).__name__) from error
    finally:
        connection.close()


def _read(response: http.client.HTTPResponse, timeout_seconds: float, address: str) -> bytes:
    """Read the body piece by piece, so that neither its size nor a slow drip of it has no end."""
    deadline = time.monotonic() + timeout_seconds
    body = bytearray()
    while piece := response.read1(64 * 2**10):
        body += piece
        if len(body) > CERTIFICATES_SIZE_MAX:
            raise TrustError(f"{address} answered with more than {CERTIFICATES_SIZE_MAX} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(body)


def _refusal(answer: _Answer, address: str) -> EnrolmentRefusedError | UnavailableError:
    said, remedy = _words(answer)
    if answer.status == _TOO_MANY or answer.status >= _SERVER_ERROR:
        return UnavailableError(
            f"{address} cannot answer now: {said}", remedy="try again later", retry_after_seconds=_retry_after(answer)
        )
    if answer.status == _NOT_FOUND:
        return EnrolmentRefusedError(f"{address} is no Sopwith controller's web address", remedy="check the address")
    if answer.status < _BAD_REQUEST:
        return EnrolmentRefusedError(
            f"{address} answered with status {answer.status}, which enrolment does not know", remedy="check the address"
        )
    return EnrolmentRefusedError(said, remedy=remedy)


def _words(answer: _Answer) -> tuple[str, str]:
    """Return message and mend as the controller writes them: one line each, plain text, whatever was sent."""
    text = answer.body.decode("utf-8", "replace")[:_MESSAGE_LENGTH_MAX].strip()
    message, _, remedy = text.partition("\n")
    clean = ["".join(letter if letter.isprintable() else " " for letter in part).strip() for part in (message, remedy)]
    return clean[0] or f"status {answer.status}", clean[1]


def _retry_after(answer: _Answer) -> int:
    """Return the wished seconds; RFC 7030 allows a date too, for which the default stands in."""
    text = answer.headers.get("Retry-After", "")
    seconds = int(text) if text.isascii() and text.isdigit() else _RETRY_AFTER_SECONDS_DEFAULT
    return max(1, min(seconds, RETRY_AFTER_SECONDS_MAX))


def _unavailable(address: str, reason: str) -> UnavailableError:
    return UnavailableError(
        f"cannot reach {address}: {reason}", remedy="check that the controller runs and that its web port is open"
    )


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
