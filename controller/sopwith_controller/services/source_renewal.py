"""Keeping the source fresh: the timestamp is renewed every hour, and people are told before signatures end.

This module decides when; how is the `SourceStore`'s, and when an end is near is `domain.source_expiry`'s. Rules: an end
is told once per bound it passes, by an incident in the transaction that records it; failing to renew stops nothing here
and becomes an incident itself when little time is left.
"""

from datetime import timedelta

import structlog

from sopwith_controller.domain.errors import SopwithError
from sopwith_controller.domain.source_expiry import ExpiryWarning, expiring
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.ports import Clock, Database, SourceStore, Timers
from sopwith_formats.vocabulary import Symptom

RENEW_EVERY = timedelta(hours=1)

_log = structlog.get_logger()


class SourceRenewal:
    """The hourly work on the source."""

    def __init__(self, database: Database, clock: Clock, source: SourceStore, incidents: Incidents) -> None:
        self._database = database
        self._clock = clock
        self._source = source
        self._incidents = incidents
        self._told: set[str] = set()

    def start(self, timers: Timers) -> None:
        """Renew now and every hour."""
        timers.at("source/renew_first", self._clock.now(), self.run)
        timers.every("source/renew", RENEW_EVERY, self.run)

    async def run(self) -> None:
        """Renew, then tell of ends that are near."""
        try:
            await self._source.renew()
        except (SopwithError, OSError) as error:
            _log.error("source_renewal_failed", reason=str(error))
        view = await self._source.view()
        if view is None:
            return
        roles = [(role.name, role.version, role.expires_time) for role in view.roles]
        warnings = [one for one in expiring(roles, self._clock.now()) if one.key not in self._told]
        if warnings:
            await self._tell(warnings)

    async def _tell(self, warnings: list[ExpiryWarning]) -> None:
        now = self._clock.now()
        summary = "; ".join(warning.text(now) for warning in warnings)
        async with self._database.write() as unit:
            await self._incidents.raise_in(unit, symptom=Symptom.SOURCE_EXPIRING, severity=1, summary=summary)
            await unit.commit()
        self._told.update(warning.key for warning in warnings)
        await self._incidents.after_commit()
