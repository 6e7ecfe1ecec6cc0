"""What the steps of one planner tick share: the view, what was found in it, and what was decided so far.

Decides nothing itself; `wave_progress` and `offers` do. It lives for one tick and is the only mutable thing in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sopwith_controller.domain.openings import opening
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.rollout_entities import Assignment, WaveProgress
from sopwith_controller.domain.standing import Wait, of_rollout, of_window
from sopwith_controller.domain.survey import Survey, survey
from sopwith_controller.domain.tick import Action, ComputerView, RolloutView
from sopwith_controller.domain.windows import WindowState

RUNNING_OUT = "nothing is left to start; what runs is followed to its end"


@dataclass
class TickState:
    """One tick under way."""

    view: RolloutView
    now: datetime
    rollout_wait: Wait | None
    """What holds the whole rollout; set by a suspension on the way."""
    found: Survey
    actions: list[Action]
    times: list[datetime]
    progress: list[WaveProgress]
    """Times of the waves, the tail last, as this tick leaves them."""
    explaining: bool = False
    """Reasons are wanted for everybody, also where the tick could stop looking."""
    current: int = 0
    """Index of the wave that is open or opens next."""
    current_wait: Wait | None = None
    """Why the current wave does not open, or why the next one does not."""
    state_reason: str | None = None
    moved: dict[str, int] = field(default_factory=dict)
    """Assignments that changed their wave, id to wave."""
    waits: dict[str, Wait] = field(default_factory=dict)
    """Why assignments of the open wave were not offered or hold no lease, by id."""
    measure: dict[str, None] = field(default_factory=dict)
    """Ids of computers to ask for readiness, in order."""
    offered: set[str] = field(default_factory=set)
    """Ids of assignments that this tick offers."""
    windows: dict[tuple[str, str, str], tuple[WindowState, Wait | None]] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    """Maintenance groups by computer id, of members that are in one."""
    downloads_max: int | None = None
    """How many computers may download at once; None: no limit."""

    @property
    def plan(self) -> Plan:
        """Return the plan."""
        return self.view.plan

    def computer(self, assignment: Assignment) -> ComputerView:
        """Return an assignment's computer."""
        return self.view.computers[assignment.computer_id]

    def window(self, computer: ComputerView) -> WindowState:
        """Return what window and start time say to a computer now."""
        return self._opening(computer)[0]

    def window_wait(self, computer: ComputerView) -> Wait | None:
        """Return the closed window or the start time that a computer waits for; None: neither."""
        return self._opening(computer)[1]

    def _opening(self, computer: ComputerView) -> tuple[WindowState, Wait | None]:
        """Return both; worked out once per group, zone and platform."""
        key = (self.groups.get(computer.id, computer.group), computer.time_zone, computer.platform)
        if (found := self.windows.get(key)) is None:
            takes = self.view.estimates.of(computer.platform).takes
            deviation = self.view.deviations.get("window")
            until = deviation.expires_time if deviation else None
            window = opening(self.plan, key[0], key[1], self.now, takes, deviated_until=until)
            found = self.windows[key] = (window, of_window(window))
            self.at(window.next_change)
        return found

    def at(self, time: datetime | None) -> None:
        """Remember a time at which the answer may change."""
        if time is not None and time > self.now:
            self.times.append(time)

    def is_open(self, wave: int) -> bool:
        """Tell whether a wave was opened."""
        return self.progress[wave].opened_time is not None


def begin(view: RolloutView, now: datetime, *, explaining: bool) -> TickState:
    """Survey a rollout and return the state that the steps work on."""
    rollout_wait = of_rollout(view)
    found = survey(view, now, rollout_wait)
    missing = view.plan.tail + 1 - len(view.rollout.waves)
    progress = [*view.rollout.waves, *([WaveProgress()] * missing)]
    state = TickState(view, now, rollout_wait, found, found.actions, found.times, progress, explaining)
    state.groups = view.plan.groups_of_members
    state.current = next((index for index, wave in enumerate(progress) if wave.passed_time is None), view.plan.tail)
    if view.plan.bandwidth_max is not None:
        state.downloads_max = max(1, view.plan.bandwidth_max // view.estimates.overall.mean_bytes_per_second)
    state.at(view.freeze_begins)
    for freeze in view.freezes:
        state.at(freeze.end_time)
    for deviation in view.deviations.values():
        state.at(deviation.expires_time)
    return state
