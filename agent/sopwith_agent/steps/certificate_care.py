"""Caring for the computer's certificate while the agent runs.

Decides when a new one is asked for and where: over the live stream's port from two thirds of the certificate's life on,
over the web port, with the enrolled key, once it ran out. Rules: it never gives up, pauses grow to an hour; the key
stays; what is in use goes on until the next dial.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from sopwith_agent.domain import limits
from sopwith_agent.domain.errors import AgentError
from sopwith_agent.steps.link_port import Link, LinkError
from sopwith_agent.steps.ports import Clock
from sopwith_agent.steps.session_ports import Certificates
from sopwith_agent.steps.waiting import at_most
from sopwith_formats.errors import FormatError

_log = structlog.get_logger()


class CertificateCare:
    """Runs for as long as the session."""

    def __init__(
        self,
        link: Link,
        certificates: Certificates,
        clock: Clock,
        *,
        connected: Callable[[], bool],
        renewed: asyncio.Event,
    ) -> None:
        """Set `renewed` after each new certificate, so that whoever waits to dial does so at once."""
        self._link = link
        self._certificates = certificates
        self._clock = clock
        self._connected = connected
        self._renewed = renewed
        self._failures = 0
        self.look = asyncio.Event()
        """Set by whoever has a reason to look at the certificate now."""

    async def run(self) -> None:
        """Renew, or come back, whenever it is time."""
        while True:
            self.look.clear()
            act, wait_seconds = await self._due()
            if act is None:
                self._failures = 0
                await at_most(wait_seconds, self.look)
            elif await self._done(act):
                self._renewed.set()

    async def _due(self) -> tuple[Callable[[], Awaitable[None]] | None, float | None]:
        """Return what is to be done now, or how long there is nothing to do; None: until somebody has a reason."""
        dates, now = await asyncio.to_thread(self._certificates.dates), self._clock.now()
        if now > dates.not_after:
            return self._link.recover_certificate, 0
        left_seconds = (dates.renewal - now).total_seconds()
        if left_seconds > 0:
            return None, min(left_seconds, limits.certificate_retry_cap_seconds)
        return (self._link.renew_certificate, 0) if self._connected() else (None, limits.certificate_retry_cap_seconds)

    async def _done(self, act: Callable[[], Awaitable[None]]) -> bool:
        try:
            await act()
        except (AgentError, FormatError, OSError) as error:
            refused = isinstance(error, LinkError) and error.refused
            _log.warning("certificate_refused" if refused else "certificate_not_renewed", error=str(error))
            pause = min(
                limits.certificate_retry_first_seconds * 2 ** min(self._failures, 12),
                limits.certificate_retry_cap_seconds,
            )
            self._failures += 1
            await asyncio.sleep(random.uniform(0.5, 1) * pause)  # noqa: S311  spreads load only
            return False
        _log.info("certificate_renewed")
        return True
