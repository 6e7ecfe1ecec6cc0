"""The groups of keys that SOPs and rollout files share: windows, waves, disruption budgets.

Decides how each is written in YAML and turns it into the record of `sop_policy`; whether a rollout may ask for it is
left to the controller's gates. Rules: a wave's size is a count or a percentage; a window names an RRULE, a start on the
clock and a duration, and closes its cutoff before its end.
"""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from sopwith_formats import sop_policy as policy
from sopwith_formats.document_values import ClockTime, CountOrPercent, Duration, PositiveCount, Word
from sopwith_formats.documents import StrictModel
from sopwith_formats.errors import FormatError
from sopwith_formats.recurrence import check_rule, check_window
from sopwith_formats.selector import parse_selector
from sopwith_formats.start_time import check_start_time
from sopwith_formats.time_zones import LOCAL, find_zone

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def rrule_text(value: Any) -> str:
    """Return an RRULE as it is written, without its prefix."""
    if not isinstance(value, str):
        raise FormatError(f"{value!r} is no RRULE", remedy='write it like "FREQ=WEEKLY;BYDAY=SA"')
    return check_rule(value)


def time_zone_name(value: Any) -> str:
    """Return `local` or the name of a known time zone."""
    if value != LOCAL and (not isinstance(value, str) or find_zone(value) is None):
        raise FormatError(f"{value!r} is no time zone", remedy="write local or a name like Europe/Berlin")
    return str(value)


def short_name(value: Any) -> str:
    """Return a name that fits into tables, file names and labels."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise FormatError(f"{value!r} is no name", remedy="write at most 63 letters, digits, dots, - or _")
    return value


def start_time_text(value: Any) -> str | None:
    """Return a start time as it is written, after checking that it is one."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise FormatError(f"{value!r} is no time", remedy="write it like 2026-11-22T02:14:35Z")
    return check_start_time(value)


def selector_text(value: Any) -> str:
    """Return a label selector as it is written, after checking that it is one."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise FormatError("is no selector", remedy='write it like "site=berlin, ring!=vip"')
    return parse_selector(value).text


Selector = Annotated[str, BeforeValidator(selector_text)]
Rrule = Annotated[str, BeforeValidator(rrule_text)]
TimeZone = Annotated[str, BeforeValidator(time_zone_name)]
Name = Annotated[str, BeforeValidator(short_name)]
StartTime = Annotated[str | None, BeforeValidator(start_time_text)]


class WindowPart(StrictModel):
    """A maintenance window as it is written."""

    rrule: Rrule
    start: ClockTime
    duration: Duration
    time_zone: TimeZone = LOCAL
    cutoff: Duration = 0

    @model_validator(mode="after")
    def _fits(self) -> "WindowPart":
        check_window(self.record())
        return self

    def record(self) -> policy.Window:
        """Return the policy's record."""
        return policy.Window(self.rrule, self.start, self.duration, self.time_zone, self.cutoff)


class WavePart(StrictModel):
    """A wave as it is written."""

    name: Name
    size: CountOrPercent
    soak: Duration = 0

    def record(self) -> policy.WaveRule:
        """Return the policy's record."""
        return policy.WaveRule(self.name, self.size, self.soak)


class BudgetPart(StrictModel):
    """A disruption budget as it is written."""

    group_by: list[Word] = Field(min_length=1)
    max_unavailable: PositiveCount

    def record(self) -> policy.DisruptionBudget:
        """Return the policy's record."""
        return policy.DisruptionBudget(tuple(self.group_by), self.max_unavailable)


def wave_records(waves: list[WavePart]) -> tuple[policy.WaveRule, ...]:
    """Return the waves' records; raise FormatError when two have one name, or one is called tail."""
    names = [wave.name for wave in waves]
    for name in names:
        if names.count(name) > 1:
            raise FormatError(f"names the wave {name!r} twice", remedy="give each wave its own name")
        if name == "tail":
            raise FormatError("names a wave tail, which Sopwith itself uses", remedy="choose another name")
    return tuple(wave.record() for wave in waves)
