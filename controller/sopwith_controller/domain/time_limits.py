"""How long an assignment may stay in each state: the table of what ends it, or who is told.

Decides the numbers, and when a computer that is in contact counts as stalled; what follows is `survey`'s and
`endings`'. Rules:

- Silence without contact is another matter: three missed heartbeats, LOST_CONTACT.
- A computer in contact that tells nothing for longer than its state's limit is stalled: `explain` and `status` say so,
  with the remedy, and an incident (TIMEOUT, severity 2) waits for a person. Before its install it gives its place back
  to others (`offers`). Its next word ends that.
- One that has the files is stalled only where it may start all the time and does not; without leave it waits for the
  controller. A computer that nobody offered to, and one that waits for its reboot, never are.
- The rollout's deadline ends whatever has not begun to install. An install of a computer in contact goes on beyond the
  deadline, for one limit of its state without a word; then it ends FAILED, and a later receipt corrects it.
- The number for an install comes from the SOP's `install_timeout`, of which the computer itself ends an attempt.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType

from sopwith_controller.domain.rollout_entities import Assignment
from sopwith_formats.vocabulary import AssignmentState

INSTALL_TIMEOUT = timedelta(minutes=30)
"""The shipped SOP's; a rollout has that of the revision which it cited."""


@dataclass(frozen=True)
class TimeLimit:
    """How long one state may last without a word from a computer that is in contact."""

    fixed: timedelta = timedelta(0)
    installs: int = 0
    """So many times the SOP's `install_timeout` on top."""
    stalls: bool = True
    """Silence beyond it, before the deadline, is worth a person's look."""
    at_deadline: str = ""
    """What the rollout's deadline makes of it, for the page."""

    def lasts(self, install_timeout: timedelta) -> timedelta:
        """Return the limit under a SOP's `install_timeout`."""
        return self.fixed + self.installs * install_timeout


_S = AssignmentState
_BEFORE = "NOT_STARTED with the reason; NOT_READY where it is not ready; UNREACHABLE without contact"
_WITHIN = "in contact: goes on for one limit, then FAILED (TIMEOUT, severity 1); else UNREACHABLE (severity 1)"

LIMITS: Mapping[AssignmentState, TimeLimit] = MappingProxyType(
    {
        _S.PENDING: TimeLimit(stalls=False, at_deadline=_BEFORE),
        _S.PREPARING: TimeLimit(timedelta(minutes=15), at_deadline=_BEFORE),
        _S.DOWNLOADING: TimeLimit(timedelta(hours=1), at_deadline=_BEFORE),
        _S.STAGED: TimeLimit(timedelta(minutes=30), at_deadline=_BEFORE),
        _S.INSTALLING: TimeLimit(timedelta(minutes=15), installs=2, at_deadline=_WITHIN),
        _S.AWAITING_REBOOT: TimeLimit(
            timedelta(minutes=30), stalls=False, at_deadline=_WITHIN.replace("TIMEOUT", "PENDING_REBOOT")
        ),
        _S.REBOOTING: TimeLimit(timedelta(minutes=30), at_deadline=_WITHIN),
        _S.CONFIRMING: TimeLimit(timedelta(minutes=150), at_deadline=_WITHIN),
        _S.ROLLING_BACK: TimeLimit(timedelta(minutes=15), installs=3, at_deadline=_WITHIN),
    }
)
"""A settle time is at most an hour, and failed health checks are looked at twice: so the number of CONFIRMING."""


def heard_time(assignment: Assignment) -> datetime | None:
    """Return when something of an assignment was last heard or said; None before its offer."""
    reported, offered = assignment.reported_time, assignment.offered_time
    if reported is None or offered is None:
        return reported or offered
    return max(reported, offered)


@lru_cache(maxsize=8)
def _stall_after(install_timeout: timedelta) -> Mapping[AssignmentState, timedelta | None]:
    """Return the limits of a SOP's `install_timeout`, None where nobody stalls; every tick asks for every install."""
    return {state: limit.lasts(install_timeout) if limit.stalls else None for state, limit in LIMITS.items()}


def stalls_at(assignment: Assignment, install_timeout: timedelta) -> datetime | None:
    """Return when an assignment whose computer is in contact counts as stalled; None where it never does.

    One that said why it waits (a reason, a next try) is no riddle.
    """
    lasts = _stall_after(install_timeout)[assignment.state]
    heard = heard_time(assignment)
    if lasts is None or heard is None or assignment.reasons:
        return None
    again = assignment.next_try_time
    stalls = (again if again is not None and again > heard else heard) + lasts
    lease = assignment.start_until_time
    if assignment.state is _S.STAGED and (lease is None or lease <= stalls):
        return None
    return stalls


def given_up_at(assignment: Assignment, deadline: datetime, install_timeout: timedelta) -> datetime:
    """Return when an install of a computer in contact ends after the deadline, unless it is heard of before."""
    heard = heard_time(assignment)
    return max(deadline, heard or deadline) + LIMITS[assignment.state].lasts(install_timeout)
