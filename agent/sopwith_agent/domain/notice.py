"""What people at a computer are owed before it changes under their hands: notice, deferrals, a deadline, a grace.

Decides when an install or a reboot may go on with regard to them, and whether it may be put off once more; who sits at
the computer and how they are told is the adapters'. Rules (SOP clause V.C, `user_notice` and the maintenance groups):

- Nobody there: go at once, whatever was asked for before. A SOP that owes no notice is no different.
- Somebody there: they are told, and nothing happens for the notice. Silence is consent; "install now" shortens it.
- It may be put off so many times, each time until a moment of their choice, never beyond the deadline, which counts
  from the first notice and ends before the rollout's own. Afterwards they are told anew.
- Once the deferrals are spent or the deadline passed they are told for the last time, and it goes on after the grace.
- An emergency leaves nobody a choice: they are told, and it goes on after the grace, a minute at most.
- A notice whose time passed while nothing could start (a closed lid, a freeze) surprises nobody later: they are told
  anew, and it costs no deferral.

Times are UTC by the fleet's clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from sopwith_agent.domain import limits
from sopwith_agent.domain.errors import NotDeferrableError
from sopwith_formats.errors import FormatError
from sopwith_formats.units import format_time, parse_time


class NoticeState(StrEnum):
    """Where people stand with one coming change."""

    UNNOTICED = "UNNOTICED"
    NOTICED = "NOTICED"
    DEFERRED = "DEFERRED"
    GRACE = "GRACE"
    """Told for the last time."""
    GO = "GO"


class NoticeEvent(StrEnum):
    """What happened to it."""

    TOLD = "TOLD"
    TOLD_LAST = "TOLD_LAST"
    PUT_OFF = "PUT_OFF"
    AGREED = "AGREED"
    """Somebody there said: now."""
    TIME_PASSED = "TIME_PASSED"
    LEFT = "LEFT"
    """Nobody is at the computer."""
    OUTDATED = "OUTDATED"
    """Its time passed long ago, and nothing could start."""


_S, _E = NoticeState, NoticeEvent

TABLE: dict[tuple[NoticeState, NoticeEvent], NoticeState] = {
    (_S.UNNOTICED, _E.TOLD): _S.NOTICED,
    (_S.UNNOTICED, _E.TOLD_LAST): _S.GRACE,
    (_S.UNNOTICED, _E.LEFT): _S.GO,
    (_S.NOTICED, _E.PUT_OFF): _S.DEFERRED,
    (_S.NOTICED, _E.AGREED): _S.GO,
    (_S.NOTICED, _E.TIME_PASSED): _S.GO,
    (_S.NOTICED, _E.LEFT): _S.GO,
    (_S.NOTICED, _E.OUTDATED): _S.UNNOTICED,
    (_S.DEFERRED, _E.PUT_OFF): _S.DEFERRED,
    (_S.DEFERRED, _E.AGREED): _S.GO,
    (_S.DEFERRED, _E.TIME_PASSED): _S.UNNOTICED,
    (_S.DEFERRED, _E.LEFT): _S.GO,
    (_S.GRACE, _E.AGREED): _S.GO,
    (_S.GRACE, _E.TIME_PASSED): _S.GO,
    (_S.GRACE, _E.LEFT): _S.GO,
    (_S.GRACE, _E.OUTDATED): _S.UNNOTICED,
    (_S.GO, _E.OUTDATED): _S.UNNOTICED,
}
"""The whole machine; what it does not list does not happen."""


@dataclass(frozen=True)
class NoticeRules:
    """What the SOP grants people; all zero: nothing."""

    notice_seconds: int = 0
    deferrals_max: int = 0
    defer_at_most_seconds: int = 0
    """From the first notice; 0: as long as the rollout lasts."""
    grace_seconds: int = 0
    emergency: bool = False
    rollout_deadline: datetime | None = None
    """When the update must have ended."""

    @property
    def owed(self) -> bool:
        """Tell whether people are told at all."""
        return self.notice_seconds > 0 or (self.emergency and self.grace_seconds > 0)

    @property
    def last_seconds(self) -> int:
        """Return how long the last notice lasts."""
        return min(self.grace_seconds, limits.emergency_grace_max_seconds) if self.emergency else self.grace_seconds


_TIMES = ("since_time", "until_time", "first_time")


@dataclass(frozen=True)
class Notice:
    """What was said and answered about one coming change."""

    state: NoticeState = NoticeState.UNNOTICED
    since_time: datetime | None = None
    until_time: datetime | None = None
    """When the state ends by itself; None for UNNOTICED."""
    first_time: datetime | None = None
    """Of the first notice; the deadline counts from here."""
    deferrals: int = 0
    notices: int = 0
    """How often people were told."""
    why: str = ""
    """Why it may go, for the record; empty before."""

    def to_document(self) -> dict[str, Any]:
        """Return the JSON form that is kept over a restart."""
        times = {key: format_time(value) if (value := getattr(self, key)) else "" for key in _TIMES}
        return {
            "state": self.state.value,
            "deferrals": self.deferrals,
            "notices": self.notices,
            "why": self.why,
        } | times

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the notice of its JSON form; raise FormatError for anything else."""
        try:
            times = {key: parse_time(document[key]) if document[key] else None for key in _TIMES}
            deferrals, notices = int(document["deferrals"]), int(document["notices"])
            return cls(
                NoticeState(document["state"]), deferrals=deferrals, notices=notices, why=str(document["why"]), **times
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"is no kept notice: {error}") from error


def deadline(notice: Notice, rules: NoticeRules, now: datetime) -> datetime | None:
    """Return until when it can be put off at the latest; None: without end."""
    ends = []
    if rules.defer_at_most_seconds:
        ends.append((notice.first_time or now) + timedelta(seconds=rules.defer_at_most_seconds))
    if rules.rollout_deadline:
        # The last notice and a margin to install in still have to fit.
        before = timedelta(seconds=rules.grace_seconds + limits.defer_margin_seconds)
        ends.append(rules.rollout_deadline - before)
    return min(ends, default=None)


def deferrals_left(notice: Notice, rules: NoticeRules, now: datetime) -> int:
    """Return how often it can be put off now."""
    last = deadline(notice, rules, now)
    if rules.emergency or (last is not None and last <= now):
        return 0
    return max(0, rules.deferrals_max - notice.deferrals)


def look(notice: Notice, rules: NoticeRules, now: datetime, *, in_use: bool) -> Notice:
    """Return where it stands now; the result may be UNNOTICED, and then people have to be told (`tell`)."""
    if notice.state is _S.GO and not _outdated(notice, now):
        return notice
    if not in_use or not rules.owed:
        why = "nobody was at the computer" if rules.owed else "the SOP owes no notice"
        unsaid = notice if notice.state is not _S.GO else _after(notice, _E.OUTDATED, now)
        return _after(unsaid, _E.LEFT, now, why=why)
    if notice.state is _S.DEFERRED and not rules.deferrals_max:
        return _after(notice, _E.TIME_PASSED, now)  # whoever granted it takes it back
    if notice.state is _S.UNNOTICED or (notice.until_time is not None and now < notice.until_time):
        return notice
    if notice.state is not _S.DEFERRED and _outdated(notice, now):
        return _after(notice, _E.OUTDATED, now)
    return _after(notice, _E.TIME_PASSED, now, why="nobody objected to the notice")


def tell(notice: Notice, rules: NoticeRules, now: datetime) -> Notice:
    """Return it after people were told; the last notice where nothing is left to choose."""
    choice = deferrals_left(notice, rules, now) > 0 or (rules.deferrals_max == 0 and not rules.emergency)
    event, lasts = (_E.TOLD, rules.notice_seconds) if choice else (_E.TOLD_LAST, rules.last_seconds)
    told = _after(notice, event, now, until=now + timedelta(seconds=lasts))
    return replace(told, first_time=notice.first_time or now, notices=notice.notices + 1)


def agree(notice: Notice, now: datetime) -> Notice:
    """Return it after somebody there said: now; raise NotDeferrableError where nothing waits for a word."""
    if (notice.state, _E.AGREED) not in TABLE:
        raise NotDeferrableError("Nothing waits for your word.", remedy="`sopwith-agent status` shows what goes on")
    return _after(notice, _E.AGREED, now, why="a person at the computer said: now")


def put_off(notice: Notice, rules: NoticeRules, now: datetime, seconds: int | None) -> Notice:
    """Return it put off by so long, by the usual time for None; raise NotDeferrableError where that is not granted."""
    if notice.state in {_S.UNNOTICED, _S.GO}:
        raise NotDeferrableError("Nothing waits to be put off.", remedy="`sopwith-agent status` shows what goes on")
    if rules.emergency:
        raise NotDeferrableError(
            "This is an emergency update; it cannot be put off.",
            remedy="save your work, it starts in a moment",
            refused=True,
        )
    if not deferrals_left(notice, rules, now):
        raise NotDeferrableError(
            _refusal(notice, rules), remedy="save your work, or ask whoever runs the updates", refused=True
        )
    wanted = now + timedelta(seconds=seconds if seconds is not None else limits.defer_usual_seconds)
    last = deadline(notice, rules, now)
    until = min(wanted, last) if last else wanted
    return replace(_after(notice, _E.PUT_OFF, now, until=until), deferrals=notice.deferrals + 1)


def describe(notice: Notice, rules: NoticeRules) -> str:
    """Return in one line what people were told and said, for the receipt."""
    parts = [f"told {notice.notices} time{'' if notice.notices == 1 else 's'}" if notice.notices else ""]
    if notice.deferrals:
        parts.append(f"put off {notice.deferrals} of {rules.deferrals_max} times by people at the computer")
    if rules.emergency and rules.deferrals_max:
        parts.append("emergency: deferrals skipped")
    return "; ".join(part for part in (*parts, notice.why) if part)


def _refusal(notice: Notice, rules: NoticeRules) -> str:
    if not rules.deferrals_max:
        return "The procedure does not let this update be put off."
    if notice.deferrals >= rules.deferrals_max:
        times = "once" if rules.deferrals_max == 1 else f"{rules.deferrals_max} times"
        return f"It was put off {times} already, and the procedure allows no more."
    return "The time within which it could be put off is over."


def _outdated(notice: Notice, now: datetime) -> bool:
    ended = notice.until_time or notice.since_time
    return ended is not None and now - ended > timedelta(seconds=limits.notice_outdated_seconds)


def _after(
    notice: Notice, event: NoticeEvent, now: datetime, *, until: datetime | None = None, why: str = ""
) -> Notice:
    following = TABLE[notice.state, event]
    return replace(
        notice,
        state=following,
        since_time=now,
        until_time=until,
        why=why if following is _S.GO else "",
    )
