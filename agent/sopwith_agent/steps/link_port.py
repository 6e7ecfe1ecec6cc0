"""What the session needs from the way to the controller: one stream at a time, and two ways to a new certificate.

The port decides what can be said and how a failure is told; how bytes travel is the adapter's. Every method raises
`LinkError` when the controller does not answer, or does not want to.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sopwith_agent.domain.errors import UnavailableError
from sopwith_agent.domain.messages import Incoming, Outgoing


class LinkError(UnavailableError):
    """The controller cannot be talked to; `refused` tells that it answered, and said no."""

    def __init__(self, message: str, *, remedy: str = "", refused: bool = False) -> None:
        self.refused = refused
        super().__init__(message, remedy=remedy)


class Stream(Protocol):
    """One live stream."""

    async def send(self, message: Outgoing) -> None:
        """Say something; returns when it is on its way."""
        ...

    async def finish(self) -> None:
        """Say that nothing more will be said; the controller then ends the stream."""
        ...

    def received(self) -> AsyncIterator[Incoming]:
        """Give what the controller says, until the stream ends."""
        ...


class Link(Protocol):
    """The way to the controller."""

    @property
    def address(self) -> str:
        """HOST:PORT of the fleet port."""
        ...

    def open(self) -> AbstractAsyncContextManager[Stream]:
        """Dial, with the certificate as it is on disk now; the stream is closed with the context."""
        ...

    async def renew_certificate(self) -> None:
        """Exchange the living certificate for a new one, and keep it."""
        ...

    async def recover_certificate(self) -> None:
        """Get a certificate for the enrolled key after the old one ran out, and keep it."""
        ...
