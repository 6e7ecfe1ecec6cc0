"""A whole controller: in which order it starts and stops.

Start: tables, memory of who may call, own certificate, timers, the look at the clock (whoever dials must hear of a
hold), web port, fleet port, then every running rollout is looked at once. Stop: in the reverse order, and nothing that
was acknowledged is lost.
"""

import asyncio
from pathlib import Path

from sopwith_certs.authority import Authority
from sopwith_certs.credentials import server_credentials
from sopwith_controller.adapters.clock import SystemClock
from sopwith_controller.adapters.fleet_trust import FleetTrust
from sopwith_controller.adapters.sop_pages import render_revision
from sopwith_controller.api.interceptors import Gatekeeper
from sopwith_controller.api.server import FleetServer
from sopwith_controller.bootstrap.parts import Parts
from sopwith_controller.bootstrap.paths import DataPaths, open_store
from sopwith_controller.bootstrap.servicers import registrations
from sopwith_controller.config import Config
from sopwith_controller.console.application import create_app
from sopwith_controller.console.signing import SigningRoutes
from sopwith_controller.console.source_files import SourceFolder
from sopwith_controller.console.web_server import WebServer
from sopwith_controller.services.refusals import Refusals

GRACE_SECONDS = 3.0


class Controller:
    """A whole controller; made by `build`."""

    def __init__(self, parts: Parts, web: WebServer, fleet: FleetServer) -> None:
        self._parts = parts
        self._web = web
        self._fleet = fleet
        self._outbox: asyncio.Task[None] | None = None
        self._clock: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to serve; when this returns, both ports answer."""
        parts = self._parts
        parts.scheduler.start()
        parts.writer.start()
        await parts.clock_guard.begin()
        await self._web.start()
        await self._fleet.start()
        self._clock = asyncio.create_task(parts.clock_guard.watch(), name="clock guard")
        await parts.advancing.start()
        await parts.newcomers.start()
        await parts.patch_days.start(parts.scheduler)
        await parts.freezes.resume_watching()
        await parts.incidents.climb()
        parts.source_renewal.start(parts.scheduler)
        parts.disk_watch.start(parts.scheduler)
        parts.log_watch.start(parts.scheduler, parts.update_logs)
        self._outbox = asyncio.create_task(parts.notifying.run(), name="outbox")
        for name, interval, work in parts.routines():
            parts.scheduler.every(name, interval, work)

    async def stop(self) -> None:
        """Tell everybody, let what runs end, close."""
        parts = self._parts
        parts.scheduler.stop()
        parts.presence.drain()
        await self._fleet.stop(GRACE_SECONDS)
        await parts.writer.stop()
        await parts.advancing.stop()
        await self._web.stop()
        running = [task for task in (self._outbox, self._clock) if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await parts.flush_last_seen()
        await parts.database.close()


async def build(data: Path, config: Config) -> Controller:
    """Put a controller together; raise SopwithError, FormatError or OSError when a part is not there whole."""
    paths, clock = DataPaths(data), SystemClock()
    database = await open_store(paths, config, clock)
    try:
        async with database.read() as unit:
            settings = await unit.settings()
        authority = Authority.load(paths.pki, settings.trust_domain)
        parts = Parts(paths, config, database, settings, authority)
        await parts.access.load()
        await parts.keep_certificate()
        trust = FleetTrust(
            authority=authority,
            fleet_address=config.fleet_address,
            log_key=parts.log_key.verifier.text(),
            warrant_keys_pem=parts.warrant_key.public_key_pem,
            controller_name=settings.organization,
        )
        app = create_app(
            enrolment=parts.enrolment,
            source=SourceFolder(paths.source),
            trust=trust,
            signing=SigningRoutes(parts.signing_links, render_revision),
        )
        web = WebServer(app, paths.controller_pair, config.listen, config.web_port)
        gatekeeper = Gatekeeper(parts.access, settings.trust_domain, Refusals(database))
        fleet = FleetServer(
            f"[{config.listen}]:{config.fleet_port}"
            if ":" in config.listen
            else f"{config.listen}:{config.fleet_port}",
            server_credentials(paths.controller_pair, paths.authorities),
            gatekeeper,
            registrations(parts),
            reflection=config.development,
        )
    except BaseException:
        await database.close()
        raise
    return Controller(parts, web, fleet)
