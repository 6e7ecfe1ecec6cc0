"""Which leave a computer that dials is told again: none that a stop or a clock that was set has ended meanwhile."""

from datetime import timedelta
from typing import Any, cast

import pytest

from sopwith_controller.domain.freezing import CLOCK
from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_controller.services.agent_reports import Arrival, JournalEntry
from sopwith_controller.services.dispatch import Dispatch, Reconciliation
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_formats.vocabulary import AssignmentState
from tests import builders as make
from tests.builders import NOON, FixedClock
from tests.fakes.database import FakeDatabase

MINUTE = timedelta(minutes=1)
LEASE = NOON + 4 * MINUTE
JUMPED = Freeze("f-1", "the controller's clock jumped backwards by about 10 minutes", CLOCK, NOON - 30 * MINUTE)
RUNNING, PAUSED, SUSPENDED, ABORTING = (
    RolloutState.RUNNING,
    RolloutState.PAUSED,
    RolloutState.SUSPENDED,
    RolloutState.ABORTING,
)


class Gateway:
    """Keeps nothing of what is sent."""

    async def renew_lease(self, *_: Any, **__: Any) -> None:
        pass

    async def lease_reboot(self, *_: Any, **__: Any) -> None:
        pass


async def arrive(state: RolloutState, *freezes: Freeze, lease: Any = LEASE, rebooting: bool = False) -> Reconciliation:
    database = FakeDatabase(FixedClock())
    waits = AssignmentState.AWAITING_REBOOT if rebooting else AssignmentState.STAGED
    leave = {"reboot_until_time": lease} if rebooting else {"start_until_time": lease}
    async with database.write() as unit:
        await unit.computers.put(make.computer("pc0", id="c-0"))
        await unit.rollouts.put(make.rollout(state=state))
        one = make.assignment(computer_id="c-0", state=waits, offered_time=NOON - 5 * MINUTE, **leave)
        await unit.assignments.put_all([one])
        for freeze in freezes:
            await unit.freezes.put(freeze)
        await unit.commit()
    nobody = cast("Any", Gateway())
    dispatch = Dispatch(database, FixedClock(), nobody, RolloutRecords(), nobody)
    journal = (JournalEntry(one.id, waits),)
    return await dispatch.arrive(Arrival("c-0", "1", "nonce", "boot", journal=journal))


async def start_told(state: RolloutState, *freezes: Freeze, lease: Any = LEASE) -> Any:
    [(_, until, _)] = (await arrive(state, *freezes, lease=lease)).leases
    return until


@pytest.mark.parametrize(
    ("state", "start", "reboot"),
    [(RUNNING, True, True), (PAUSED, False, False), (SUSPENDED, False, False), (ABORTING, False, True)],
)
async def test_leave_that_a_stop_has_ended_is_not_given_again(state, start, reboot):
    assert (await start_told(state) == LEASE) is start
    [(_, until, _)] = (await arrive(state, rebooting=True)).reboots
    assert (until == LEASE) is reboot


@pytest.mark.parametrize("lease", [None, NOON, NOON + 6 * MINUTE])
async def test_leave_that_ran_out_or_that_this_clock_cannot_have_given_is_none(lease):
    assert await start_told(RUNNING, lease=lease) is None


async def test_no_leave_is_given_again_while_the_clock_is_not_believed():
    assert await start_told(RUNNING, JUMPED) is None


@pytest.mark.parametrize("by", ["otto", CLOCK])
async def test_once_it_is_believed_again_leave_that_still_holds_is_given_again(by):
    over = Freeze(JUMPED.id, JUMPED.reason, CLOCK, JUMPED.start_time, NOON, by)
    assert await start_told(RUNNING, over) == LEASE
