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
) -> datetime | None:
    """Return when the third heartbeat was or will be missed; None while connected or announced asleep.

    A computer counts as offline from this time on, unless it is heard of before.
    """
    if connected or asleep:
        return None
    since = max(last_seen_time or controller_started_time, controller_started_time)
    return since + HEARTBEATS_MISSED * heartbeat
