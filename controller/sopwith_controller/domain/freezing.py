"""Freezes: which is in force, coming or over, when that changes next, and what a calendar's new word does to them.

Decides from the freezes on record and the time; that nothing starts meanwhile is the planner's rule and the agent's.
Rules:

- A freeze holds from its start until before its end. One that was called off before it began never holds.
- An imported calendar speaks for all its times from now on: what it names anew is added, what it names with other
  times or another reason is changed, what it does not name any more is called off, or ended where it is in force. What
  is over stays as it was, and what a person ended by hand stays ended.
- Importing the same calendar twice changes nothing the second time.
- The freeze of a controller whose clock jumped ends by its own word only: ending it confirms the time, and whoever
  ends "every freeze" has not looked at a clock. While it holds, people's freezes begin and end at a moment that lies
  before any time that the clock may return to, so that they hold, or are over, whichever time turns out to be right.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from sopwith_controller.domain.errors import InvalidInputError, NotFoundError, TransitionNotAllowedError
from sopwith_controller.domain.incident_entities import Freeze
from sopwith_formats.units import format_time

CLOCK = "sopwith (clock)"
"""Stands where a freeze names who began it, for one of a controller whose clock jumped."""
OCCURRENCES_MAX = 1_000
AHEAD_MAX = timedelta(days=2 * 366)
"""How far ahead a calendar is looked at."""


class FreezeState(StrEnum):
    """Where a freeze stands."""

    COMING = "COMING"
    IN_FORCE = "IN_FORCE"
    OVER = "OVER"


@dataclass(frozen=True)
class CalendarTime:
    """One time of a calendar in which installing is forbidden."""

    uid: str
    """Identifies it within its calendar."""
    reason: str
    start_time: datetime
    end_time: datetime


@dataclass(frozen=True)
class CalendarChange:
    """What an import does."""

    added: tuple[Freeze, ...] = ()
    changed: tuple[Freeze, ...] = ()
    removed: tuple[Freeze, ...] = ()
    unchanged: int = 0

    @property
    def freezes(self) -> tuple[Freeze, ...]:
        """Return everything that has to be written."""
        return (*self.added, *self.changed, *self.removed)


@dataclass
class _Changes:
    added: list[Freeze] = field(default_factory=list)
    changed: list[Freeze] = field(default_factory=list)
    removed: list[Freeze] = field(default_factory=list)
    unchanged: int = 0


def state_of(freeze: Freeze, now: datetime) -> FreezeState:
    """Return where a freeze stands."""
    if freeze.end_time is not None and (freeze.end_time <= now or freeze.end_time <= freeze.start_time):
        return FreezeState.OVER
    return FreezeState.COMING if now < freeze.start_time else FreezeState.IN_FORCE


def next_change(freezes: Iterable[Freeze], now: datetime) -> datetime | None:
    """Return when the next freeze begins or ends; None where none will."""
    times = [
        time
        for freeze in freezes
        if state_of(freeze, now) is not FreezeState.OVER
        for time in (freeze.start_time, freeze.end_time)
        if time is not None and time > now
    ]
    return min(times, default=None)


def held_by_clock(freezes: Iterable[Freeze]) -> Freeze | None:
    """Return the freeze of a clock that cannot be trusted, None while it can."""
    return next((freeze for freeze in freezes if freeze.started_by == CLOCK and freeze.end_time is None), None)


def moment(freezes: Iterable[Freeze], now: datetime) -> datetime:
    """Return the time that a freeze begins or ends at when a person says so now; see the rules above."""
    held = held_by_clock(freezes)
    return now if held is None else min(now, held.start_time)


def to_end(freezes: Sequence[Freeze], freeze_id: str, now: datetime, *, confirm_time: bool) -> list[Freeze]:
    """Return which freezes a person means: one by its id, the clock's where they confirm its time, or every other.

    Raise NotFoundError for an id that nothing in force or coming has, TransitionNotAllowedError where only the clock's
    own freeze is left and its time was not confirmed.
    """
    now_for_people = moment(freezes, now)
    states = {freeze.id: state_of(freeze, now_for_people) for freeze in freezes}
    held = held_by_clock(freezes)
    if freeze_id:
        chosen = [one for one in freezes if one.id == freeze_id and states[one.id] is not FreezeState.OVER]
        if not chosen:
            raise NotFoundError(f"no freeze {freeze_id} is in force or coming", remedy="sopwith freeze list")
    elif confirm_time:
        chosen = [held] if held is not None else []
    else:
        chosen = [one for one in freezes if states[one.id] is FreezeState.IN_FORCE and one != held]
    if held is not None and not confirm_time and chosen in ([], [held]):
        raise TransitionNotAllowedError(
            f"{held.id} is the controller's own freeze: {held.reason}; nothing starts until it returns, or until a "
            f"person says that its time is right, which is {format_time(now)}",
            remedy=f"sopwith freeze end {held.id} --confirm-time, if a clock that you trust says the same",
        )
    return chosen


def end(freeze: Freeze, now: datetime, ended_by: str) -> Freeze:
    """Return a freeze that ends now, or one that is still to come as called off."""
    return replace(freeze, end_time=min(now, freeze.start_time) if now < freeze.start_time else now, ended_by=ended_by)


def check_calendar(calendar: str, times: Sequence[CalendarTime], now: datetime) -> None:
    """Raise InvalidInputError for an import that nobody should carry out."""
    if not calendar.strip():
        raise InvalidInputError("the calendar has no name", remedy="add --calendar NAME")
    if len(times) > OCCURRENCES_MAX:
        raise InvalidInputError(
            f"the calendar holds {len(times)} times, and {OCCURRENCES_MAX} are the most",
            remedy="import a calendar that holds freezes only",
        )
    seen: set[str] = set()
    for time in times:
        if not time.uid or time.uid in seen:
            raise InvalidInputError(f"{time.reason!r} stands twice in the calendar, or has no UID")
        seen.add(time.uid)
        if time.end_time <= time.start_time or time.start_time > now + AHEAD_MAX:
            raise InvalidInputError(f"{time.reason!r} ends before it begins, or begins more than two years ahead")


def bring_in_line(
    known: Iterable[Freeze],
    calendar: str,
    times: Sequence[CalendarTime],
    *,
    now: datetime,
    person: str,
    new_id: Callable[[], str],
) -> CalendarChange:
    """Return what an import of a calendar changes; see the rules above."""
    wanted = {time.uid: time for time in times if time.end_time > now}
    changes = _Changes()
    for freeze in known:
        if freeze.origin == calendar:
            _compare(freeze, wanted.pop(freeze.uid, None), changes, now=now, person=person)
    for time in wanted.values():
        changes.added.append(
            Freeze(new_id(), time.reason, person, time.start_time, time.end_time, origin=calendar, uid=time.uid)
        )
    return CalendarChange(tuple(changes.added), tuple(changes.changed), tuple(changes.removed), changes.unchanged)


def _compare(freeze: Freeze, time: CalendarTime | None, changes: _Changes, *, now: datetime, person: str) -> None:
    by_calendar = _by_calendar(freeze.origin)
    over = state_of(freeze, now) is FreezeState.OVER
    if time is None:
        if not over:
            changes.removed.append(end(freeze, now, by_calendar))
        return
    if freeze.ended_by and freeze.ended_by != by_calendar:
        changes.unchanged += 1
        return
    after = replace(
        freeze, reason=time.reason, start_time=time.start_time, end_time=time.end_time, ended_by="", started_by=person
    )
    if replace(after, started_by=freeze.started_by) == freeze:
        changes.unchanged += 1
    else:
        changes.changed.append(after)


def _by_calendar(calendar: str) -> str:
    return f"calendar {calendar}"
