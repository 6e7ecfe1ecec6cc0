"""Keeping the source alive: the online signatures are renewed in time, and people are told before theirs run out.

Rules: the timestamp is signed anew every hour, far before its day is over; a role that people signed and that ends
within 30 days is an incident, again at 14 and at 7 days, severity 1, because agents refuse a source that has expired; a
renewal that fails is an incident at once.
"""

from datetime import datetime, timedelta

import structlog

from sopwith_controller.domain.entities import IncidentState
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.ports import Clock, Database, SourceRole, SourceStore
from sopwith_formats.vocabulary import Symptom

WARN_BEFORE = (timedelta(days=7), timedelta(days=14), timedelta(days=30))
ONLINE_ROLES = frozenset({"snapshot", "timestamp"})

_log = structlog.get_logger()


class SourceWatch:
    """The hourly routine."""

    def __init__(self, database: Database, clock: Clock, source: SourceStore, incidents: Incidents) -> None:
        self._database = database
        self._clock = clock
        self._source = source
        self._incidents = incidents

    async def look(self) -> None:
        """Renew what the controller signs, and warn of what people have to sign."""
        if await self._source.view() is None:
            return
        try:
            await self._source.renew()
        except Exception:  # noqa: BLE001  whatever the reason: a person must know before the timestamp is over
            _log.exception("source_not_renewed")
            await self._raise("the controller could not renew the source's timestamp; its log says why")
            return
        view = await self._source.view()
        for role in view.roles if view else ():
            warning = warning_of(role, self._clock.now())
            if warning:
                await self._raise(warning)

    async def _raise(self, summary: str) -> None:
        async with self._database.write() as unit:
            for incident in await unit.incidents.all():
                if incident.symptom == Symptom.SOURCE_EXPIRING and incident.summary == summary:
                    return
            for incident in await unit.incidents.unresolved():
                if incident.symptom == Symptom.SOURCE_EXPIRING and incident.state is not IncidentState.RESOLVED:
                    await self._incidents.resolve_in(unit, incident, "the controller", f"followed by: {summary}")
            await self._incidents.raise_in(unit, symptom=Symptom.SOURCE_EXPIRING, severity=1, summary=summary)
            await unit.commit()
        await self._incidents.after_commit()


def warning_of(role: SourceRole, now: datetime) -> str:
    """Return the sentence for a role that people signed and that ends soon, empty for any other."""
    left = role.expires_time - now
    reached = next((limit for limit in WARN_BEFORE if left <= limit), None)
    if role.name in ONLINE_ROLES or reached is None:
        return ""
    when = f"{role.expires_time:%Y-%m-%d}"
    if left <= timedelta(0):
        return (
            f"the source's {role.name} metadata version {role.version} expired on {when}; sign it: sopwith source renew"
        )
    return (
        f"the source's {role.name} metadata version {role.version} ends on {when}, in less than {reached.days} days; "
        "sign it: sopwith source renew"
    )
