"""Incidents, and the durable outbox of messages to people."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select

from sopwith_controller.adapters.database.tables import incidents, notifications
from sopwith_controller.adapters.database.transaction import Transaction, columns_for
from sopwith_controller.domain.incident_entities import Incident, IncidentState, Notification

_INCIDENTS = select(*columns_for(Incident, incidents))
_NEWEST = (incidents.c.detected_time.desc(), incidents.c.id.desc())
_NOTIFICATIONS = select(*columns_for(Notification, notifications))
_OLDEST = (notifications.c.created_time, notifications.c.id)


class SqlIncidents:
    """Implements the `Incidents` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def get(self, incident_id: str) -> Incident | None:
        """Return one."""
        return await self._transaction.entity(_INCIDENTS.where(incidents.c.id == incident_id), Incident)

    async def all(self) -> Sequence[Incident]:
        """Return all, newest first."""
        return await self._transaction.entities(_INCIDENTS.order_by(*_NEWEST), Incident)

    async def unresolved(self) -> Sequence[Incident]:
        """Return OPEN and ACKNOWLEDGED ones, newest first."""
        waiting = _INCIDENTS.where(incidents.c.state != IncidentState.RESOLVED)
        return await self._transaction.entities(waiting.order_by(*_NEWEST), Incident)

    async def put(self, incident: Incident) -> None:
        """Insert or replace."""
        await self._transaction.put(incidents, [vars(incident)])


class SqlNotifications:
    """Implements the `Notifications` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def of_incident(self, incident_id: str) -> Sequence[Notification]:
        """Return an incident's messages, oldest first."""
        mine = _NOTIFICATIONS.where(notifications.c.incident_id == incident_id)
        return await self._transaction.entities(mine.order_by(*_OLDEST), Notification)

    async def due(self, now: datetime, limit: int) -> Sequence[Notification]:
        """Return undelivered messages whose next try is due, oldest first."""
        waiting = _NOTIFICATIONS.where(
            notifications.c.delivered.is_(False),
            or_(notifications.c.next_try_time.is_(None), notifications.c.next_try_time <= now),
        )
        return await self._transaction.entities(waiting.order_by(*_OLDEST).limit(limit), Notification)

    async def undelivered(self) -> Sequence[Notification]:
        """Return every message that was tried and is not delivered."""
        tried = _NOTIFICATIONS.where(notifications.c.delivered.is_(False), notifications.c.attempts > 0)
        return await self._transaction.entities(tried.order_by(*_OLDEST), Notification)

    async def put(self, notification: Notification) -> None:
        """Insert or replace."""
        await self._transaction.put(notifications, [vars(notification)])
