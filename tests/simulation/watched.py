"""What the promises are judged by: the tables after the last commit, and lists that follow every commit.

Decides nothing. The lists spare a look at every assignment after every commit; what is in them is said anew here, in
other words than the planner's, so that one mistake does not hide the other.
"""

import collections
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sopwith_controller.domain.plan import Plan, read_plan
from sopwith_controller.domain.rollout_entities import Assignment, Rollout
from sopwith_formats.vocabulary import BEFORE_INSTALLING, AssignmentState, Outcome
from tests.simulation.clocks import ClockStory, ControllerClock
from tests.simulation.database import Changes, Tables
from tests.simulation.promises import Promise

LEASE = timedelta(minutes=5)
TOLD_WITHIN = timedelta(seconds=10)
"""A computer with a live stream starts nothing this long after a pause, a suspension, an abort or a freeze."""
SKEW = timedelta(seconds=1.5)
SUCCESSES = {Outcome.SUCCEEDED, Outcome.SKIPPED}
ERRORS = {Outcome.FAILED, Outcome.ROLLED_BACK, Outcome.UNREACHABLE}
Broken = Callable[[Promise, str], None]


class Watched:
    """One run's tables, as the promises need them."""

    def __init__(self, wall: ControllerClock, real_now: Callable[[], datetime], time: ClockStory) -> None:
        """Judge by the controller's clock what the tables say, by the real time what happens on the computers."""
        self.now, self.real_now = wall.now, real_now
        self._real, self._time = wall.real, time
        self.tables: Tables = {}
        self.leases: dict[str, datetime] = {}
        """Assignment to the latest start that was ever granted, as real time."""
        self.reboot_leases: dict[str, datetime] = {}
        """The same of reboots."""
        self.granted_in: dict[str, int] = {}
        """Assignment to the wave in which it was last given leave to start."""
        self.placed: dict[str, datetime] = {}
        """Assignment to the real time at which it was given its place, to start or to reboot."""
        self.unasked: dict[str, datetime] = {}
        """Assignment that was booted without leave, by people or a power cut, to the real time when that was heard."""
        self.stopped: dict[str, datetime] = {}
        """Rollout to the real time since which it does not run."""
        self.frozen: dict[str, datetime] = {}
        """Freeze to the real time of its commit, or of its beginning if that came later."""
        self.crossed: dict[str, frozenset[str]] = {}
        """Rollout whose threshold is crossed to the assignments that were in flight then."""
        self._plans: dict[str, tuple[str, Plan]] = {}
        self._of_rollout: dict[str, list[str]] = collections.defaultdict(list)
        self._of_computer: dict[str, list[str]] = collections.defaultdict(list)
        self._active: dict[str, dict[str, None]] = collections.defaultdict(dict)
        self._before: dict[tuple[str, Any], Any] = {}
        self.shut_again: dict[str, datetime] = {}
        """Rollout to the real time since which its deviation from freezes was closed."""

    def doubted(self) -> bool:
        """Tell whether the controller's clock is off and nobody has confirmed what it tells."""
        return self._time.holds

    def believed_now(self) -> datetime:
        """Return the time by which the tables were written that may be believed."""
        return self.real_now() + self._time.believed

    def follow(self, tables: Tables, changes: Changes) -> None:
        """Take a commit in."""
        self.tables = tables
        self._before = {(name, _id(old)): old for name, rows in changes.items() for old, _ in rows if old is not None}
        for old, new in changes.get("freezes", ()):
            if old is None or (old.start_time != new.start_time and old.start_time > self.now()):
                self.frozen[new.id] = max(self.real_now(), self._real(new.start_time))
        for old, new in changes.get("deviations", ()):
            if new.gate == "freeze" and old is not None and old.state == "APPROVED" != new.state:
                self.shut_again[new.rollout_id] = min(self.real_now(), self._real(new.expires_time))
        for old, new in changes.get("assignments", ()):
            if old is None:
                self._of_rollout[new.rollout_id].append(new.id)
                self._of_computer[new.computer_id].append(new.id)
            if old is not None and old.state is AssignmentState.AWAITING_REBOOT is not new.state:
                self._left_its_wait(new)
            if new.ended or new.state is AssignmentState.PENDING:
                self._active[new.rollout_id].pop(new.id, None)
            else:
                self._active[new.rollout_id][new.id] = None

    def granted(self, leases: dict[str, datetime], assignment_id: str, lease: datetime) -> None:
        """Note until when an assignment may start, or reboot, really."""
        until, now = self._real(lease), self.real_now()
        if leases.get(assignment_id, now) <= now:
            self.placed[assignment_id] = now
        leases[assignment_id] = max(until, leases.get(assignment_id, until))

    def came_between(self, assignment_id: str, starting: str) -> bool:
        """Tell whether one was booted without leave, and this was heard after the starting one had its place."""
        heard, placed = self.unasked.get(assignment_id), self.placed.get(starting)
        return heard is not None and placed is not None and placed <= heard

    def _left_its_wait(self, assignment: Assignment) -> None:
        """Note a boot for which nobody gave leave: the planner counts that computer from now on."""
        if self.reboot_leases.get(assignment.id, datetime.min.replace(tzinfo=UTC)) < self.real_now():
            self.unasked[assignment.id] = self.real_now()

    def before(self, name: str, key: str) -> Any:
        """Return a row as it was before the last commit."""
        return self._before.get((name, key)) or self.tables[name][key]

    def rollout(self, rollout_id: str) -> Rollout:
        """Return a rollout as it is."""
        found: Rollout = self.tables["rollouts"][rollout_id]
        return found

    def of_rollout(self, rollout_id: str) -> Iterator[Assignment]:
        """Yield a rollout's assignments as they are, of each computer the newest generation."""
        table = self.tables.get("assignments", {})
        return (one for one in (table[key] for key in self._of_rollout[rollout_id]) if not one.replaced)

    def of_computer_before(self, computer_id: str) -> Iterator[Assignment]:
        """Yield a computer's assignments as they were."""
        return (self.before("assignments", key) for key in self._of_computer[computer_id])

    def active(self, rollout_id: str) -> Iterator[Assignment]:
        """Yield assignments that were offered and have not ended."""
        table = self.tables.get("assignments", {})
        return (table[key] for key in self._active[rollout_id])

    def plan(self, rollout_id: str) -> Plan:
        """Return a rollout's plan."""
        text = self.rollout(rollout_id).plan_json
        known = self._plans.get(rollout_id)
        if known is None or known[0] is not text:
            known = self._plans[rollout_id] = (text, read_plan(text))
        return known[1]

    def freezes(self, now: datetime, *, before: bool = False) -> list[Any]:
        """Return the freezes in force, after the last commit or before it."""
        rows = self.tables.get("freezes", {})
        if before:
            rows = {key: self._before.get(("freezes", key), row) for key, row in rows.items()}
        return [one for one in rows.values() if one.start_time <= now and (one.end_time is None or now < one.end_time)]

    def coming(self, now: datetime) -> list[Any]:
        """Return the freezes that were on record before the last commit and begin later."""
        rows = self.tables.get("freezes", {})
        known = [self._before.get(("freezes", key), row) for key, row in rows.items()]
        return [
            one for one in known if one.start_time > now and (one.end_time is None or one.end_time > one.start_time)
        ]

    def deviated(self, gate: str, rollout: Rollout, now: datetime, *, before: bool = False) -> datetime | None:
        """Return until when, by the controller's clock, a second person's deviation opens a gate; None: it is shut."""
        rows = self.tables.get("deviations", {})
        if before:
            rows = {key: self._before.get(("deviations", key), row) for key, row in rows.items()}
        until = [
            one.expires_time
            for one in rows.values()
            if (one.gate, one.rollout_id, one.plan_sha256) == (gate, rollout.id, rollout.plan_sha256)
            and one.state == "APPROVED"
            and one.approver not in {"", one.requester}
            and now < one.expires_time
        ]
        return max(until, default=None)

    def real(self, told: datetime) -> datetime:
        """Return when a time of the controller's clock really is."""
        return self._real(told)

    def wrong(self, rollout: Rollout, plan: Plan, assignments: Iterator[Assignment]) -> str:
        """Say which error threshold of percent and count is crossed; empty: none."""
        limits, counted = plan.thresholds, rollout.counted_from
        of_wave: collections.Counter[int] = collections.Counter()
        errors: collections.Counter[int] = collections.Counter()
        for one in assignments:
            if one.outcome == Outcome.CANCELLED or accepted(one, counted):
                continue
            of_wave[one.wave] += 1
            errors[one.wave] += one.outcome in ERRORS
        for wave, number in errors.items():
            if number and number * 100 > float(limits.error_percent.rstrip("%")) * of_wave[wave]:
                return f"{number} of {of_wave[wave]} went wrong in wave {wave}"
        wrong = errors.total()
        return f"{wrong} went wrong" if wrong and wrong >= limits.error_count else ""


def accepted(one: Assignment, counted_from: datetime | None) -> bool:
    """Tell whether a person accepted this end by resuming after it."""
    return bool(counted_from and one.ended_time and one.ended_time <= counted_from)


def may_start(one: Assignment, now: datetime) -> bool:
    """Tell whether its computer may begin to install or to reboot, or has begun: what `max_concurrency` limits.

    One that waits for its reboot without leave is not changed by anybody; that a person reboots it nobody can forbid.
    """
    if one.ended or one.state is AssignmentState.PENDING:
        return False
    if one.state is AssignmentState.AWAITING_REBOOT or one.reboot_asked_time is not None:
        return one.reboot_until_time is not None
    if one.state not in BEFORE_INSTALLING:
        return True
    return one.start_until_time is not None and one.start_until_time > now


def _id(row: Any) -> Any:
    return getattr(row, "id", None)
