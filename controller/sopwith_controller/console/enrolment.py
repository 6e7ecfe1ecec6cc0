"""The enrolment routes: the three of EST (RFC 7030) that exist here, and the fleet's directions.

This module decides how a request travels: sizes, types, rates, HTTP statuses and words. Who gets a certificate is
decided by `services.enrolment`.

Rules: no client certificate is asked for, the web port serves those who have none yet; bodies are read up to a limit
and for a limited time; each network address, and each key that asks for a certificate, has its rate; answers are plain
text of two lines, the reason and its mend; tokens reach neither log nor answer. 202 with Retry-After says: a person has
to accept the computer first.
"""

import asyncio
import base64
import binascii
import time
from collections.abc import Callable
from typing import Protocol

import structlog
from cryptography import x509
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sopwith_certs.est_messages import (
    CERTIFICATES_TYPE,
    REQUEST_SIZE_MAX,
    decode_body,
    encode_certificates,
    read_request,
)
from sopwith_certs.signing import fingerprint
from sopwith_controller.console.rate_limit import RateLimit
from sopwith_controller.domain.errors import (
    ConflictError,
    DomainError,
    InvalidInputError,
    RefusedError,
    SopwithError,
    UnavailableError,
)
from sopwith_controller.services.enrolment import Issued, Waiting
from sopwith_formats.errors import FormatError

BODY_SIZE_MAX = 2 * REQUEST_SIZE_MAX
BODY_TIMEOUT_SECONDS = 10.0
ADDRESS_BURST, ADDRESS_SECONDS = 1000, 0.05
KEY_BURST, KEY_SECONDS = 20, 2.0
_UNAVAILABLE_RETRY_SECONDS = 10

_log = structlog.get_logger()


class Enrolling(Protocol):
    """What the routes need of the use case."""

    async def enrol(self, certificate_request: bytes, *, name: str = "", token: str = "") -> Issued | Waiting:
        """Answer a first request."""
        ...

    async def reenrol(self, certificate_request: bytes) -> Issued:
        """Answer a request signed with a known key."""
        ...


class Trust(Protocol):
    """What the controller says about itself and the fleet, always the newest."""

    def trust_bundle_pem(self) -> bytes:
        """Return the authorities that the fleet trusts, PEM."""
        ...

    def directions(self) -> dict[str, str]:
        """Return fleet_address, trust_domain, log_key, warrant_keys_pem, trust_bundle_pem and controller_name."""
        ...


class EnrolmentRoutes:
    """The routes over one use case."""

    def __init__(self, enrolment: Enrolling, trust: Trust, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._enrolment = enrolment
        self._trust = trust
        self._by_address = RateLimit(burst=ADDRESS_BURST, seconds=ADDRESS_SECONDS, clock=monotonic)
        self._by_key = RateLimit(burst=KEY_BURST, seconds=KEY_SECONDS, clock=monotonic)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/.well-known/est/cacerts", self._limited(self.cacerts), methods=["GET"]),
            Route("/.well-known/est/simpleenroll", self._limited(self.simpleenroll), methods=["POST"]),
            Route("/.well-known/est/simplereenroll", self._limited(self.simplereenroll), methods=["POST"]),
            Route("/.well-known/sopwith", self._limited(self.directions), methods=["GET"]),
        ]

    async def cacerts(self, _request: Request) -> Response:
        """Show the authorities; the asker compares them with what it was told beforehand."""
        return _certificates(self._trust.trust_bundle_pem())

    async def directions(self, _request: Request) -> Response:
        """Show where the fleet is."""
        return JSONResponse(self._trust.directions())

    async def simpleenroll(self, request: Request) -> Response:
        """Answer a first request."""
        credentials = _credentials(request.headers.get("authorization", ""))
        if credentials is None:
            return _say(401, "say who asks by HTTP Basic: the name, and the token as password", scheme="Basic")
        name, token = credentials
        certificate_request = await self._certificate_request(request)
        answer = await self._enrolment.enrol(certificate_request, name=name, token=token)
        if isinstance(answer, Waiting):
            _log.info("enrolment_waited", name=name, key_fingerprint=answer.key_fingerprint)
            return _say(
                202,
                f"the computer waits for a person to accept it; its key is {answer.key_fingerprint}",
                retry_after=answer.retry_after_seconds,
            )
        return _certificates(answer.certificate_pem)

    async def simplereenroll(self, request: Request) -> Response:
        """Answer a request signed with a known key."""
        answer = await self._enrolment.reenrol(await self._certificate_request(request))
        return _certificates(answer.certificate_pem)

    async def _certificate_request(self, request: Request) -> bytes:
        """Return the PKCS#10 bytes of the body when their key may ask now."""
        try:
            async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
                der = decode_body(await _body(request))
            key_fingerprint = fingerprint(read_request(der))
        except FormatError as error:
            raise InvalidInputError(error.message, remedy=error.remedy) from error
        wait = self._by_key.take(key_fingerprint)
        if wait:
            raise _TooOftenError(wait)
        return der

    def _limited(self, endpoint: Callable[[Request], object]) -> Callable[[Request], object]:
        async def answer(request: Request) -> Response:
            address = request.client.host if request.client else ""
            wait = self._by_address.take(address)
            if wait:
                return _too_often(wait)
            try:
                return await endpoint(request)  # type: ignore[misc,no-any-return]  # starlette types endpoints as Any
            except SopwithError as error:
                _log.info("enrolment_refused", path=request.url.path, address=address, reason=error.message)
                return _refused(error)
            except (_TooOftenError, _TooLargeError, TimeoutError, ClientDisconnect) as error:
                return _not_read(error)

        return answer


class _TooOftenError(Exception):
    def __init__(self, wait_seconds: int) -> None:
        self.wait_seconds = wait_seconds
        super().__init__("too often")


class _TooLargeError(Exception):
    pass


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_SIZE_MAX:
            raise _TooLargeError
    return bytes(body)


def _credentials(header: str) -> tuple[str, str] | None:
    """Return user and password of HTTP Basic authentication, None when there are none."""
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None


def _certificates(pem: bytes) -> Response:
    body = encode_certificates(x509.load_pem_x509_certificates(pem))
    headers = {"Content-Type": CERTIFICATES_TYPE, "Content-Transfer-Encoding": "base64"}
    return Response(body, headers=headers)


def _refused(error: SopwithError) -> Response:
    kinds: list[tuple[type[SopwithError], int]] = [
        (InvalidInputError, 400),
        (RefusedError, 403),
        (ConflictError, 409),
        (UnavailableError, 503),
        (DomainError, 400),
    ]
    status = next((status for kind, status in kinds if isinstance(error, kind)), 403)
    retry_after = _UNAVAILABLE_RETRY_SECONDS if isinstance(error, UnavailableError) else 0
    return _say(status, error.message, error.remedy, retry_after=retry_after)


def _not_read(error: Exception) -> Response:
    """Return the answer to a request whose body was not taken whole."""
    if isinstance(error, _TooOftenError):
        return _too_often(error.wait_seconds)
    if isinstance(error, _TooLargeError):
        return _say(413, f"a body has at most {BODY_SIZE_MAX} bytes")
    if isinstance(error, TimeoutError):
        return _say(408, "the body did not arrive in time", "send it in one piece")
    return _say(400, "the body ended early")


def _too_often(wait_seconds: int) -> Response:
    return _say(429, "too many requests", "ask again later", retry_after=wait_seconds)


def _say(status: int, message: str, remedy: str = "", *, retry_after: int = 0, scheme: str = "") -> Response:
    headers = {}
    if retry_after:
        headers["Retry-After"] = str(retry_after)
    if scheme:
        headers["WWW-Authenticate"] = f'{scheme} realm="sopwith"'
    return PlainTextResponse("\n".join(part for part in (message, remedy) if part), status, headers)
