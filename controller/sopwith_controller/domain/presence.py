"""Who counts as silent: three heartbeats missed, and never for a silence in which the controller was away.

Decides times only; who is connected or asleep the live streams know.
"""

from datetime import datetime, timedelta

HEARTBEATS_MISSED = 3


def offline_time(
    *,
    connected: bool,
    asleep: bool,
    last_seen_time: datetime | None,
    controller_started_time: datetime,
    heartbeat: timedelta,
    now: datetime,
) -> datetime | None:
    """Return when the third heartbeat was missed; None while connected, announced asleep, or fewer are missed."""
    if connected or asleep:
        return None
    due = offline_due_time(last_seen_time, controller_started_time, heartbeat)
    return due if due <= now else None


def offline_due_time(
    last_seen_time: datetime | None, controller_started_time: datetime, heartbeat: timedelta
) -> datetime:
    """Return when a computer without a stream counts as offline unless it is heard of; worth a tick at that time."""
    since = max(last_seen_time or controller_started_time, controller_started_time)
    return since + HEARTBEATS_MISSED * heartbeat
