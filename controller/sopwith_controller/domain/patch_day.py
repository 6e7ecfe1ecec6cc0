"""Patch days: when a rollout file that repeats drafts its next rollout, and what that one asks for.

Decides days, names and releases; drafting is `services.patch_days`', and starting is always a person's. Rules:

- A rule comes at 00:00 on the wall clock of the rollout's window zone (UTC where each computer has its own), by the
  same reading of skipped and doubled hours as windows: each intended day exactly once.
- After a time in which nobody looked, the newest missed day is drafted once; the others are skipped and said so.
- The draft has the file of the newest rollout that was started, the newest published release of the same name, its day
  in its name, and no start time.
- The repetition ends when somebody aborts a draft that it made, or the rollout that it goes on from.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from sopwith_controller.domain.entities import Release, ReleaseState
from sopwith_controller.domain.lasting_entities import Repetition
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.rollout_entities import PATCH_DAY, Rollout
from sopwith_controller.domain.windows import occurrence_of
from sopwith_formats.recurrence import LOOK_AHEAD_YEARS, starts_of_year
from sopwith_formats.rollout_spec import RolloutSpec
from sopwith_formats.sop_policy import Window
from sopwith_formats.time_zones import LOCAL, find_zone

_MIDNIGHT = "00:00"
_UTC = "UTC"


def next_day(rule: str, zone: str, after: datetime) -> datetime | None:
    """Return the first occurrence after a time; None: there is none within the look-ahead."""
    window = Window(rrule=rule, start=_MIDNIGHT, duration_seconds=60, time_zone=zone)
    first = after.astimezone(UTC).year - 1
    for year in range(first, first + LOOK_AHEAD_YEARS + 2):
        for start in starts_of_year(rule, _MIDNIGHT, year):
            opens = occurrence_of(window, start, zone).opens
            if opens > after:
                return opens
    return None


def zone_of_plan(plan: Plan) -> str:
    """Return the zone on whose wall clock a plan repeats."""
    return _UTC if plan.window is None or plan.window.time_zone == LOCAL else plan.window.time_zone


def repetition_of(rollout: Rollout, plan: Plan, before: Repetition | None, now: datetime) -> Repetition:
    """Return the repetition that a rollout goes on with when it starts; a day that is due already stays due."""
    zone = zone_of_plan(plan)
    same = before is not None and before.ended_time is None and (before.rule, before.time_zone) == (plan.repeat, zone)
    return Repetition(
        id=chain_of(rollout),
        name=before.name if before else rollout.name,
        rollout_id=rollout.id,
        rule=plan.repeat,
        time_zone=zone,
        next_time=before.next_time if before and same else next_day(plan.repeat, zone, now),
    )


def chain_of(rollout: Rollout) -> str:
    """Return the id of the repetition that a rollout belongs to, or would begin."""
    return rollout.origin_id if rollout.origin == PATCH_DAY else rollout.id


def due_days(repetition: Repetition, now: datetime) -> list[datetime]:
    """Return the days that have come and were not drafted, oldest first."""
    days: list[datetime] = []
    day = repetition.next_time
    while day is not None and day <= now:
        days.append(day)
        day = next_day(repetition.rule, repetition.time_zone, day)
    return days


def after_days(repetition: Repetition, now: datetime) -> Repetition:
    """Return the repetition after its due days were dealt with."""
    return replace(repetition, next_time=next_day(repetition.rule, repetition.time_zone, now))


def end(repetition: Repetition, reason: str, now: datetime) -> Repetition:
    """Return the repetition after its end."""
    return replace(repetition, next_time=None, ended_time=now, ended_reason=reason)


def newest_release(releases: Sequence[Release], name: str) -> Release | None:
    """Return the release of a name that was published last and is not withdrawn; None: there is none."""
    found = [one for one in releases if one.name == name and one.state is ReleaseState.PUBLISHED]
    return max(found, key=_published, default=None)


def _published(release: Release) -> tuple[datetime, str]:
    return release.published_time, release.version


def local_date(repetition: Repetition, day: datetime) -> str:
    """Return a day as the repetition's zone writes its date."""
    zone = find_zone(repetition.time_zone) or UTC
    return f"{day.astimezone(zone):%Y-%m-%d}"


def draft_spec(spec: RolloutSpec, repetition: Repetition, release: Release, day: datetime) -> RolloutSpec:
    """Return the file of a day's draft."""
    name = f"{repetition.name}-{local_date(repetition, day)}"
    return replace(spec, rollout=name, release=release.release, start_time=None)
