"""Whether everybody who hangs is noticed: computers in contact that tell nothing for too long.

Decides, every minute and in other words than the planner's, who should be marked as stalled by now.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sopwith_controller.domain.rollout import ACTIVE_STATES
from sopwith_controller.domain.rollout_entities import Assignment
from sopwith_formats.vocabulary import AssignmentState

if TYPE_CHECKING:
    from tests.simulation.world import World

_S = AssignmentState
SILENT_AT_MOST = {
    _S.PREPARING: timedelta(minutes=15),
    _S.DOWNLOADING: timedelta(hours=1),
    _S.INSTALLING: timedelta(minutes=75),
    _S.REBOOTING: timedelta(minutes=30),
    _S.CONFIRMING: timedelta(minutes=150),
    _S.ROLLING_BACK: timedelta(minutes=105),
}
NOTICED_WITHIN = timedelta(minutes=5)


class Stalls:
    """Watches one run."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._since: dict[tuple[str, int], datetime] = {}
        """Assignment and controller's life to the real time since which it should be marked."""

    def overdue(self) -> Iterator[str]:
        """Yield in words who should have been marked as stalled for five minutes, and is not."""
        world = self._world
        if world.controller is None or world.time.holds:
            self._since.clear()
            return
        active = [rollout.id for rollout in world.rollouts() if rollout.state in ACTIVE_STATES]
        hears, waiting = world.controller.streams.hears, {}
        for one in (one for rollout_id in active for one in world.watched.active(rollout_id)):
            if self._is_silent(one) and hears(one.computer_id):
                key = (one.id, world.controllers)
                since = waiting[key] = self._since.get(key, world.clock.now())
                if world.clock.now() - since > NOTICED_WITHIN:
                    yield f"{one.id} on {one.computer} is {one.state} and silent since {one.reported_time}"
        self._since = waiting

    def _is_silent(self, one: Assignment) -> bool:
        if one.ended or one.replaced or one.stalled_time is not None or one.reasons:
            return False
        limit = SILENT_AT_MOST.get(one.state)
        times = [time for time in (one.offered_time, one.reported_time, one.next_try_time) if time]
        return limit is not None and bool(times) and self._world.wall.now() > max(times) + limit
