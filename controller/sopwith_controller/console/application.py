"""The web port's application: enrolment, the source, the pages of signatories, and a plain 404 for everything else.

This module only puts the routes together and gives every answer the same careful headers.
"""

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sopwith_controller.console.enrolment import Enrolling, EnrolmentRoutes, Trust
from sopwith_controller.console.signing import SigningRoutes
from sopwith_controller.console.source_files import SourceFiles, SourceRoutes, not_found

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def create_app(
    *, enrolment: Enrolling, source: SourceFiles, trust: Trust, signing: SigningRoutes | None = None
) -> Starlette:
    """Return the application."""
    pages = signing.routes() if signing else []
    app = Starlette(
        routes=[*EnrolmentRoutes(enrolment, trust).routes(), *SourceRoutes(source).routes(), *pages],
        exception_handlers={404: _not_found, 500: _failed},
    )
    app.router.redirect_slashes = False
    app.add_middleware(CarefulHeaders)
    return app


class CarefulHeaders:
    """Adds to every answer what keeps a browser from guessing, framing and running anything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the answer back with the headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


async def _not_found(_request: Request, _error: Exception) -> Response:
    return not_found()


async def _failed(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("the controller failed at this; its log says why", 500)
