"""Delivering the durable outbox: what waits for people is handed to their channels until it was taken.

This module decides when a message is tried again, when a second channel is used, and what is recorded; the channels are
behind the `Notifier` port, who is told what is `incidents`'. Rules: nothing here runs inside anybody's transaction or
waits in anybody's way; every try is written down; a failure is itself an entry of the update log, once per reason; a
message is never given up, the pause between tries doubles up to five minutes; when a channel fails for the first time
the same words go to the second channel at once, where one is set up. A crash between delivery and record sends a
message twice, never not at all.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.errors import SopwithError
from sopwith_controller.domain.incident_entities import Notification
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.services.ports import Clock, Database, Notifier, UnitOfWork

RETRY_FIRST = timedelta(seconds=5)
RETRY_MAX = timedelta(minutes=5)
AT_ONCE_MAX = 4
BATCH_MAX = 100
_IDLE_SECONDS = 60.0
_TROUBLE_SECONDS = 5.0
_log = structlog.get_logger()


@dataclass(frozen=True)
class SecondChannel:
    """Where a message goes as well when its own channel failed."""

    channel: str
    target: str


class Notifying:
    """The outbox worker; `run` goes on until it is cancelled, `wake` makes it look at once."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        notifiers: Mapping[str, Notifier],
        *,
        second: SecondChannel | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._notifiers = notifiers
        self._second = second
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look at the outbox now."""
        self._woken.set()

    async def run(self) -> None:
        """Deliver what is due, wait for the next, for ever."""
        while True:
            self._woken.clear()
            try:
                pause = _TROUBLE_SECONDS if await self.send_due() >= BATCH_MAX else await self._pause()
            except SopwithError as error:
                _log.warning("outbox_not_served", error=error.message)
                pause = _TROUBLE_SECONDS
            try:
                await asyncio.wait_for(self._woken.wait(), pause)
            except TimeoutError:
                continue

    async def send_due(self) -> int:
        """Try every message that is due; return how many were tried."""
        async with self._database.read() as unit:
            due = await unit.notifications.due(self._clock.now(), BATCH_MAX)
        slots = asyncio.Semaphore(AT_ONCE_MAX)
        await asyncio.gather(*(self._send(notification, slots) for notification in due))
        return len(due)

    async def _send(self, notification: Notification, slots: asyncio.Semaphore) -> None:
        async with slots:
            tried = self._clock.now()
            error = await self._deliver(notification)
        async with self._database.write() as unit:
            await self._record(unit, notification, tried, error)
            await unit.commit()

    async def _deliver(self, notification: Notification) -> str:
        """Return why it failed, empty when it was taken."""
        notifier = self._notifiers.get(notification.channel)
        if notifier is None:
            return f"no channel {notification.channel!r} is set up"
        try:
            await notifier.deliver(notification.target, notification.subject, notification.body)
        except SopwithError as error:
            return error.message
        except Exception as error:  # noqa: BLE001  a channel's own mistake must not stop the others
            return f"the channel failed: {type(error).__name__}"
        return ""

    async def _record(self, unit: UnitOfWork, before: Notification, tried: datetime, error: str) -> None:
        attempts = before.attempts + 1
        wait = min(RETRY_FIRST * 2 ** min(before.attempts, 16), RETRY_MAX)
        after = replace(
            before,
            dispatched_time=tried,
            delivered=not error,
            error=error,
            attempts=attempts,
            next_try_time=self._clock.now() + wait if error else None,
        )
        await unit.notifications.put(after)
        if not error:
            _log.info("notification_delivered", notification=after.id, channel=after.channel, attempts=attempts)
            await self._append(unit, after, LogKind.NOTIFICATION_DELIVERED, "was told")
            return
        _log.warning("notification_failed", notification=after.id, channel=after.channel, error=error)
        if error != before.error:
            await self._append(unit, after, LogKind.NOTIFICATION_FAILED, f"could not be told: {error}")
        if attempts == 1 and self._second is not None and self._second.channel != before.channel:
            await self._use_second(unit, before, self._second)

    async def _use_second(self, unit: UnitOfWork, failed: Notification, second: SecondChannel) -> None:
        again = Notification(
            id=f"{failed.id}-2",
            incident_id=failed.incident_id,
            channel=second.channel,
            target=second.target or failed.target,
            subject=failed.subject,
            body=failed.body,
            created_time=self._clock.now(),
        )
        await unit.notifications.put(again)
        self.wake()

    async def _append(self, unit: UnitOfWork, notification: Notification, kind: LogKind, what: str) -> None:
        incident = await unit.incidents.get(notification.incident_id)
        rollout = await unit.rollouts.get(incident.rollout_id) if incident and incident.rollout_id else None
        await unit.update_log.append(
            LogDraft(
                kind,
                f"{notification.target} {what}",
                rollout=incident.rollout_id if incident else "",
                ticket=rollout.ticket if rollout else "",
                release=incident.release if incident else "",
                symptom=incident.symptom if incident else "",
                details={
                    "incident": notification.incident_id,
                    "notification": notification.id,
                    "channel": notification.channel,
                    "attempts": notification.attempts,
                },
            )
        )

    async def _pause(self) -> float:
        """Return how long nothing is due."""
        async with self._database.read() as unit:
            waiting = await unit.notifications.undelivered()
        times = [one.next_try_time for one in waiting if one.next_try_time is not None]
        if not times:
            return _IDLE_SECONDS
        return min(max((min(times) - self._clock.now()).total_seconds(), 0.0), _IDLE_SECONDS)
