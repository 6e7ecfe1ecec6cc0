"""Whether every rollout ends: half an hour after its deadline nothing of it runs but what may go on beyond it.

Decides, every minute and in other words than the planner's, which rollouts should have ended. What may go on is an
install of a computer in contact, for as long as its state may last without a word.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sopwith_controller.domain.rollout import ACTIVE_STATES
from sopwith_controller.domain.rollout_entities import Assignment, Rollout
from sopwith_formats.vocabulary import BEFORE_INSTALLING, AssignmentState
from tests.simulation.stalls import SILENT_AT_MOST

if TYPE_CHECKING:
    from tests.simulation.world import World

ENDED_WITHIN = timedelta(minutes=30)
FOLLOWED_WITHIN = timedelta(minutes=3)
"""How long a controller may take to notice, after it started or its clock was believed again."""
REBOOT_AWAITED = timedelta(minutes=30)


class Deadlines:
    """Watches one run."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._since: dict[str, datetime] = {}
        """Rollout to the real time at which it was first seen unended too late, by a clock that is believed."""

    def overdue(self) -> Iterator[str]:
        """Yield in words which rollouts should have ended."""
        world, now = self._world, self._world.clock.now()
        for rollout in world.rollouts():
            last = self._last(rollout)
            over = last is not None and world.wall.now() > last
            if not over or rollout.state not in ACTIVE_STATES or world.time.holds or world.controller is None:
                self._since.pop(rollout.id, None)
            elif now - self._since.setdefault(rollout.id, now) > FOLLOWED_WITHIN:
                unended = [f"{one.computer} {one.state}" for one in self._unended(rollout)]
                yield f"{rollout.id} is still {rollout.state} after its deadline: {unended[:5]}"

    def _unended(self, rollout: Rollout) -> list[Assignment]:
        table = self._world.tables["assignments"]
        return [one for one in table.values() if one.rollout_id == rollout.id and not one.ended]

    def _last(self, rollout: Rollout) -> datetime | None:
        """Return until when a rollout may be unended; None: nothing to look at yet."""
        deadline = rollout.deadline_time
        if deadline is None or rollout.state not in ACTIVE_STATES or self._world.wall.now() <= deadline + ENDED_WITHIN:
            return None
        installs = [one for one in self._unended(rollout) if one.state not in BEFORE_INSTALLING]
        return max((deadline, *(_may_go_on(one, deadline) for one in installs))) + ENDED_WITHIN


def _may_go_on(one: Assignment, deadline: datetime) -> datetime:
    """Return until when an install may go on beyond its deadline, unless its computer says something."""
    waits = one.state is AssignmentState.AWAITING_REBOOT
    limit = REBOOT_AWAITED if waits else SILENT_AT_MOST.get(one.state, timedelta(0))
    return max(deadline, one.reported_time or deadline) + limit
