"""The routes of a signing link: read, take the statement, bring the signature.

This module decides how these requests travel: sizes, rates, HTTP statuses. What a link is good for and whether a
signature counts is decided by `services.signing_links`. Rules: the secret stands in the path and in no log and no
Referer; nothing is kept by a browser; opening the page uses nothing up; whatever is refused is said in words on a page;
the body is read up to a limit and for a limited time.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sopwith_controller.console.rate_limit import RateLimit
from sopwith_controller.console.signing_page import policy_of, result_page, signing_page, statement_name
from sopwith_controller.domain.entities import SopRevision
from sopwith_controller.domain.errors import RefusedError, SopwithError
from sopwith_controller.services.signing_links import Offer
from sopwith_controller.services.sops import SopView
from sopwith_formats.errors import FormatError

BODY_SIZE_MAX = 64 * 2**10
BODY_TIMEOUT_SECONDS = 10.0
ADDRESS_BURST, ADDRESS_SECONDS = 60, 1.0

_log = structlog.get_logger()


class Signing(Protocol):
    """What the routes need of the use case."""

    async def offer(self, secret: str) -> Offer:
        """Return what a link shows."""
        ...

    async def statement(self, secret: str, decision: str, comment: str = "") -> bytes:
        """Return the statement to sign."""
        ...

    async def sign(self, secret: str, armoured: str) -> SopView:
        """Take the signature."""
        ...


class Renderer(Protocol):
    """Makes a page of a revision, given its SOP's history."""

    def __call__(self, revision: SopRevision, history: Sequence[SopRevision], *, evaluation: bool) -> str:
        """Return the whole page."""
        ...


class SigningRoutes:
    """The routes over one use case; `render` returns a revision as a page, given its SOP's history."""

    def __init__(
        self,
        signing: Signing,
        render: Renderer,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._signing = signing
        self._render = render
        self._by_address = RateLimit(burst=ADDRESS_BURST, seconds=ADDRESS_SECONDS, clock=monotonic)

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/sign/{secret}", self._careful(self.show), methods=["GET"]),
            Route("/sign/{secret}", self._careful(self.take), methods=["POST"]),
            Route("/sign/{secret}/document", self._careful(self.document), methods=["GET"]),
            Route("/sign/{secret}/document.md", self._careful(self.exact_document), methods=["GET"]),
            Route("/sign/{secret}/statement", self._careful(self.statement), methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        """Show what is to be signed."""
        return _html(signing_page(await self._signing.offer(_secret(request)), _path(request)))

    async def document(self, request: Request) -> Response:
        """Show the document."""
        offer = await self._signing.offer(_secret(request))
        page = await asyncio.to_thread(self._render, offer.revision, offer.history, evaluation=offer.evaluation)
        return _html(page)

    async def exact_document(self, request: Request) -> Response:
        """Hand out the document's exact bytes."""
        offer = await self._signing.offer(_secret(request))
        name = f"{statement_name(offer, 'document').removesuffix('.json')}.md"
        return _download(offer.revision.document, "text/markdown; charset=utf-8", name)

    async def statement(self, request: Request) -> Response:
        """Hand out the statement that is to be signed."""
        decision, comment = request.query_params.get("decision", ""), request.query_params.get("comment", "")
        payload = await self._signing.statement(_secret(request), decision, comment)
        offer = await self._signing.offer(_secret(request))
        return _download(payload, "application/json", statement_name(offer, decision))

    async def take(self, request: Request) -> Response:
        """Take the signature file; what is wrong with it is said on the page, so that another can be brought."""
        secret = _secret(request)
        offer = await self._signing.offer(secret)
        try:
            view = await self._signing.sign(secret, await _signature(request))
        except RefusedError:
            raise
        except (SopwithError, FormatError) as error:
            _log.info("signature_refused", link=offer.link.id, reason=error.message)
            return _html(signing_page(offer, _path(request), (error.message, error.remedy)), 400)
        revision = view.revision
        _log.info("signature_taken", link=offer.link.id, sop=revision.id, revision=revision.revision)
        missing = ", ".join(view.signatures_missing)
        return _html(
            result_page(
                "Thank you",
                [
                    f"Your word on {revision.id} revision {revision.revision} is recorded with your signature.",
                    f"It is {revision.state} now." + (f" Still to sign: {missing}." if missing else ""),
                    "This link is used up; you can close the page.",
                ],
                evaluation=offer.evaluation,
            )
        )

    def _careful(self, endpoint: Callable[[Request], object]) -> Callable[[Request], object]:
        async def answer(request: Request) -> Response:
            wait = self._by_address.take(request.client.host if request.client else "")
            if wait:
                return _html(result_page("Too many requests", ["Ask again later."]), 429, {"Retry-After": str(wait)})
            try:
                return await endpoint(request)  # type: ignore[misc,no-any-return]  # starlette types endpoints as Any
            except SopwithError as error:
                _log.info("signing_link_refused", reason=error.message)
                status = 403 if isinstance(error, RefusedError) else 400
                return _html(result_page("This cannot be signed", [error.message, error.remedy]), status)
            except (HTTPException, MultiPartException, ClientDisconnect, TimeoutError):
                words = ["The file did not arrive whole.", f"Send the .sig file alone, at most {BODY_SIZE_MAX} bytes."]
                return _html(result_page("This was not read", words), 400)

        return answer


async def _signature(request: Request) -> str:
    """Return the text of the signature file in a form, or of a bare body."""
    if int(request.headers.get("content-length", "0") or 0) > BODY_SIZE_MAX:
        raise MultiPartException("too large")
    async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            async with request.form(max_files=1, max_fields=1, max_part_size=BODY_SIZE_MAX) as form:
                file = form.get("signature")
                data = await file.read(BODY_SIZE_MAX + 1) if isinstance(file, UploadFile) else b""
        else:
            body = bytearray()
            async for piece in request.stream():
                body += piece
                if len(body) > BODY_SIZE_MAX:
                    raise MultiPartException("too large")
            data = bytes(body)
    if len(data) > BODY_SIZE_MAX:
        raise MultiPartException("too large")
    return data.decode("utf-8", "replace")


def _secret(request: Request) -> str:
    return str(request.path_params["secret"])


def _path(request: Request) -> str:
    return f"/sign/{_secret(request)}"


def _html(page: str, status: int = 200, more: dict[str, str] | None = None) -> HTMLResponse:
    headers = {"Content-Security-Policy": policy_of(page), "Cache-Control": "no-store", **(more or {})}
    return HTMLResponse(page, status, headers)


def _download(content: bytes, kind: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, headers=headers, media_type=kind)
