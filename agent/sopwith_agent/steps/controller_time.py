"""The controller's time as a Welcome tells it: what to make of a time that is another than the one that was known.

Decides when the controller's clock counts as set; that leave given by the old time is void then is `orders`'.
"""

from datetime import datetime, timedelta

from sopwith_agent.domain import limits
from sopwith_agent.steps.session_ports import SetClock

CLOCK_WAS_SET = "the controller's clock was set"


def was_set(clock: SetClock, told: datetime | None) -> bool:
    """Take the time that was told; tell whether the controller's clock was set since it was last known."""
    if told is None:
        return False
    before = clock.fleet_now()
    clock.set_fleet_time(told)
    return abs(told - before) > timedelta(seconds=limits.controller_clock_set_beyond_seconds)
