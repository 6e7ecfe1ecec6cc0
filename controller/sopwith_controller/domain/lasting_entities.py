"""What outlives a rollout: its baseline, and the patch day that repeats it. Frozen records, like the rollouts'.

Which change is allowed is decided by `baseline` and `patch_day`. Times are UTC, empty text means absent.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Baseline:
    """The release that the computers of an audience should have since a rollout completed."""

    rollout_id: str
    """The rollout that completed; it names the baseline too."""
    name: str
    """Name of that rollout."""
    release: str
    """name@version."""
    audience: str
    since_time: datetime
    catch_up_id: str = ""
    """The catch-up rollout that is open; empty: none is."""
    waiting: str = ""
    """Why no catch-up could be opened at the last look; empty: nobody needs one, or one is open."""
    ended_time: datetime | None = None
    ended_reason: str = ""


@dataclass(frozen=True)
class Repetition:
    """A patch day: when the next rollout is drafted, and after which one."""

    id: str
    """Id of the first rollout that asked for it."""
    name: str
    """Name of that rollout; drafts are called after it and their day."""
    rollout_id: str
    """The newest rollout that was started; its file is the next draft's."""
    rule: str
    """RRULE, with the time of day in BYHOUR and BYMINUTE; 00:00 without them."""
    time_zone: str
    """IANA name."""
    next_time: datetime | None
    """When the next one is drafted; None: never again within five years."""
    ended_time: datetime | None = None
    ended_reason: str = ""
