"""When a computer of a plan may start: the window of its maintenance group, and the rollout's start time.

Decides which window and which start time hold for whom; how a window opens on a clock is `windows`', everything else
that a start needs is the planner's. Rules: before its start time a computer's window counts as closed, whatever it
says; a deviation opens every window until it expires, but waits for the start time; a start time without zone is each
computer's own time of day; judged from the plan alone, so that the same time gives the same answer, whichever way the
controller's clock was set meanwhile.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.windows import WindowState, next_open, state_at
from sopwith_formats.start_time import start_moment


def opening(
    plan: Plan,
    group: str,
    own_zone: str,
    now: datetime,
    takes: timedelta = timedelta(0),
    *,
    deviated_until: datetime | None = None,
) -> WindowState:
    """Return what window and start time say now to a computer of a group and a zone; `takes` as in `state_at`.

    `deviated_until` is when the deviation expires that opens the window, None where there is none.
    """
    window = plan.window_of(group)
    if plan.start_time:
        start = start_moment(plan.start_time, own_zone)
        if now < start:
            opens = next_open(window, start, own_zone)
            return WindowState(open=False, last_start=None, next_open=opens, start_time=start, group=group)
    if deviated_until is not None and window is not None:
        return WindowState(open=True, last_start=deviated_until, next_open=None, group=group)
    state = state_at(window, now, own_zone, takes)
    return replace(state, group=group) if group else state


def earliest_start(plan: Plan, zones: Iterable[str], now: datetime) -> datetime:
    """Return the first moment at which the start time lets any computer of these zones start; now without one."""
    if not plan.start_time:
        return now
    return max(now, min((start_moment(plan.start_time, zone) for zone in {*zones}), default=now))
