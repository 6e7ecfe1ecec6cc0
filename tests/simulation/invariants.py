"""What must hold after every commit, at every start of an install, and when everything is over.

Decides, from the tables and the truth, whether a promise was broken; each is named by the words it is reported with.
The rules are written here anew from the contract, in other words than the planner's, so that one mistake does not hide
the other.
"""

import json
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sopwith_controller.domain.assignment import occupies
from sopwith_controller.domain.openings import opening
from sopwith_controller.domain.plan import Plan, read_plan
from sopwith_controller.domain.rollout import TRANSITIONS
from sopwith_controller.domain.rollout_entities import Assignment, Rollout, RolloutState
from sopwith_formats.log_entry import LogRow
from sopwith_formats.units import parse_percent
from sopwith_formats.vocabulary import BEFORE_INSTALLING, AssignmentState, Outcome
from tests.simulation.truth import Start, Truth

LEASE = timedelta(minutes=5)
TOLD_WITHIN = timedelta(seconds=10)
"""A computer with a live stream starts nothing this long after a pause, a suspension, an abort or a freeze."""
SKEW = timedelta(seconds=1.5)
SUCCESSES = {Outcome.SUCCEEDED, Outcome.SKIPPED}
ERRORS = {Outcome.FAILED, Outcome.ROLLED_BACK, Outcome.UNREACHABLE}
_STEPS = {(before, after) for (before, _), after in TRANSITIONS.items()}
Tables = dict[str, dict[Any, Any]]


class Invariants:
    """Watches one run; `broken(text)` is called for each promise that does not hold."""

    def __init__(self, truth: Truth, now: Callable[[], datetime], broken: Callable[[str], None]) -> None:
        self._truth = truth
        self._now = now
        self._broken = broken
        self._plans: dict[str, Plan] = {}
        self._tables: Tables = {}
        self._leases: dict[str, list[tuple[datetime, datetime]]] = {}
        """Assignment to (granted, until)."""
        self._stopped: dict[str, datetime] = {}
        """Rollout to the time since which it does not run."""
        self._ends: dict[str, int] = {}
        """Assignment to its number of log entries with an outcome."""
        self.commits = self.starts = 0
        truth.on_start, truth.on_break = self.started, broken

    # After every commit.

    def committed(self, before: Tables, after: Tables) -> None:
        """Compare the tables before and after one commit."""
        self.commits += 1
        self._tables = after
        entries = self._new_entries(before, after)
        for entry in entries:
            if entry.kind == "ASSIGNMENT_ENDED":
                self._count_end(entry)
        changed = _changed(before, after, "assignments")
        for old, new in changed:
            self._check_assignment(old, new, before, after)
        for old, new in _changed(before, after, "rollouts"):
            self._check_rollout(old, new, after)
        for rollout_id in {new.rollout_id for _, new in changed}:
            self._check_concurrency(after, rollout_id, before)

    def _new_entries(self, before: Tables, after: Tables) -> list[LogRow]:
        old, new = before.get("update_log", {}), after.get("update_log", {})
        entries = [new.get(index) for index in range(len(old), len(new))]
        if any(entry is None or entry.index != len(old) + place for place, entry in enumerate(entries)):
            self._broken(f"the log has a gap or a wrong index after {len(old)}")
        return [entry for entry in entries if entry is not None]

    def _count_end(self, entry: LogRow) -> None:
        assignment_id = _assignment_of(entry)
        self._ends[assignment_id] = self._ends.get(assignment_id, 0) + 1
        if self._ends[assignment_id] > 1 or not entry.outcome:
            self._broken(f"{assignment_id} has {self._ends[assignment_id]} ends in the log, outcome {entry.outcome!r}")

    def _check_assignment(self, old: Assignment | None, new: Assignment, before: Tables, after: Tables) -> None:
        if old is None:
            return
        if new.ended != bool(new.outcome):
            self._broken(f"{new.id} is {new.state} with outcome {new.outcome!r}")
        if old.ended:
            self._check_correction(old, new)
        elif new.ended:
            if self._ends.get(new.id, 0) != 1:
                self._broken(f"{new.id} ended {new.outcome} without its log entry")
            if new.outcome == Outcome.SUCCEEDED:
                self._check_success(new)
        lease = new.start_until_time
        if lease is not None and lease != old.start_until_time:
            self._check_lease(old, new, lease, before, after)

    def _check_correction(self, old: Assignment, new: Assignment) -> None:
        if not new.ended:
            self._broken(f"{new.id} had ended {old.outcome} and is {new.state} again")
        elif new.outcome != old.outcome and (old.receipt_sha256 or not new.receipt_sha256):
            self._broken(f"{new.id} changed from {old.outcome} to {new.outcome} without a first receipt")
        elif new.outcome == Outcome.SUCCEEDED and not old.receipt_sha256:
            self._check_success(new)

    def _check_success(self, new: Assignment) -> None:
        if self._truth.outcomes.get(new.id) != Outcome.SUCCEEDED or not new.receipt_sha256:
            self._broken(f"{new.id} is SUCCEEDED, and the truth is {self._truth.outcomes.get(new.id)}")

    def _check_lease(self, old: Assignment, new: Assignment, lease: datetime, before: Tables, after: Tables) -> None:
        now, rollout, plan = self._now(), before["rollouts"][new.rollout_id], self._plan(new.rollout_id)
        self._leases.setdefault(new.id, []).append((now, lease))
        computer = before["computers"][new.computer_id]
        facts = (
            (rollout.state is RolloutState.RUNNING, f"while its rollout was {rollout.state}"),
            (not _frozen(before, now), "in a freeze"),
            (lease <= now + LEASE, "longer than a lease lasts"),
            (rollout.deadline_time is None or lease <= rollout.deadline_time, "beyond the deadline"),
            (
                opening(
                    plan, plan.groups_of_members.get(computer.id, ""), computer.facts.get("time_zone", ""), now
                ).open,
                "outside its window",
            ),
            (after["rollouts"][rollout.id].waves[new.wave].opened_time is not None, "before its wave opened"),
        )
        for holds, text in facts:
            if not holds:
                self._broken(f"{new.id} got a lease until {lease} {text}")
        if not occupies(old, now):
            self._check_alone(new, before, now)
        if old.state is AssignmentState.PENDING:
            self._check_offer(new, rollout, before, now)

    def _check_offer(self, new: Assignment, rollout: Rollout, before: Tables, now: datetime) -> None:
        computer = before["computers"][new.computer_id]
        measured = computer.readiness.measured_time
        if computer.readiness.verdict != "READY" or measured is None or now - measured > timedelta(minutes=15):
            self._broken(f"{new.id} was offered to a computer that is {computer.readiness.verdict or 'not measured'}")
        self._check_thresholds(rollout, before)

    def _check_alone(self, new: Assignment, before: Tables, now: datetime) -> None:
        """No assignment takes a computer on which another rollout is at work."""
        for other in _of_computer(before, new.computer_id):
            if other.rollout_id != new.rollout_id and occupies(other, now):
                self._broken(f"{new.id} got a lease while {other.id} of {other.rollout_id} is at work there")

    def _check_thresholds(self, rollout: Rollout, before: Tables) -> None:
        """No offer goes out while the tables say that too much went wrong."""
        plan = self._plan(rollout.id)
        limits, counted = plan.thresholds, rollout.counted_from
        wrong = 0
        for wave in range(plan.tail + 1):
            members = [one for one in _of_rollout(before, rollout.id) if one.wave == wave]
            n = sum(one.outcome != Outcome.CANCELLED and not _accepted(one, counted) for one in members)
            errors = sum(one.outcome in ERRORS and not _accepted(one, counted) for one in members)
            wrong += errors
            if errors and Decimal(errors * 100) > parse_percent(limits.error_percent) * n:
                self._broken(f"{rollout.id} offers although {errors} of {n} went wrong in wave {wave}")
        if wrong and wrong >= limits.error_count:
            self._broken(f"{rollout.id} offers although {wrong} went wrong")

    def _check_rollout(self, old: Rollout | None, new: Rollout, after: Tables) -> None:
        if old is None:
            return
        now = self._now()
        if old.state is not new.state and (old.state, new.state) not in _STEPS:
            self._broken(f"{new.id} went from {old.state} to {new.state}")
        if new.state is RolloutState.RUNNING:
            self._stopped.pop(new.id, None)
        elif old.state is RolloutState.RUNNING:
            self._stopped[new.id] = now
        self._check_waves(old, new, after)
        if new.state is RolloutState.COMPLETED and any(not one.ended for one in _of_rollout(after, new.id)):
            self._broken(f"{new.id} is completed with unended assignments")

    def _check_waves(self, old: Rollout, new: Rollout, after: Tables) -> None:
        now = self._now()
        for wave, (was, is_now) in enumerate(zip(old.waves, new.waves, strict=False)):
            if was.opened_time is None and is_now.opened_time is not None:
                if any(new.waves[index].passed_time is None for index in range(wave)):
                    self._broken(f"{new.id} opened wave {wave} before all waves before it had passed")
                if old.state is not RolloutState.RUNNING:
                    self._broken(f"{new.id} opened wave {wave} while {old.state}")
            if was.passed_time is None and is_now.passed_time is not None:
                self._check_pass(new, wave, after, now)

    def _check_pass(self, rollout: Rollout, wave: int, after: Tables, now: datetime) -> None:
        plan, progress = self._plan(rollout.id), rollout.waves[wave]
        everybody = _of_rollout(after, rollout.id)
        members = [one for one in everybody if one.wave == wave and one.outcome != Outcome.CANCELLED]
        if not members:
            return
        if any(not one.ended and one.state is not AssignmentState.AWAITING_REBOOT for one in members):
            self._broken(f"{rollout.id} passed wave {wave} before its members had ended")
        if progress.ended_time is None:
            self._broken(f"{rollout.id} passed wave {wave} that did not end")
            return
        soaked = progress.ended_time + timedelta(seconds=plan.waves[wave].soak_seconds)
        if soaked > now and any(not one.ended and wave < one.wave < plan.tail for one in everybody):
            self._broken(f"{rollout.id} passed wave {wave} before its soak was over")
        counted = rollout.counted_from
        judged = [one for one in members if one.ended and not _accepted(one, counted)]
        well = sum(one.outcome in SUCCESSES for one in judged)
        accepted = counted is not None and progress.ended_time <= counted
        if judged and not accepted and Decimal(well * 100) < parse_percent(plan.thresholds.success) * len(judged):
            self._broken(f"{rollout.id} passed wave {wave} with {well} of {len(judged)}")

    def _check_concurrency(self, after: Tables, rollout_id: str, before: Tables) -> None:
        now, limit = self._now(), self._plan(rollout_id).max_concurrency
        holding = sum(_may_start(one, now) for one in _of_rollout(after, rollout_id))
        held = sum(_may_start(one, now) for one in _of_rollout(before, rollout_id))
        if holding > max(limit, held):
            self._broken(f"{rollout_id} lets {holding} computers start or change at once, and {limit} are the limit")

    # At every start.

    def started(self, start: Start) -> None:
        """Check that this computer may begin to install now."""
        self.starts += 1
        now, computer = start.time, start.computer
        until = max((until for _, until in self._leases.get(start.assignment_id, [])), default=None)
        if until is None or now > until + SKEW:
            self._broken(f"{start.assignment_id} started on {computer.name} after its lease until {until}")
        reasons = [(self._stopped.get(start.rollout_id), "its rollout was stopped")]
        reasons += [
            (freeze.start_time, f"freeze {freeze.id}")
            for freeze in self._tables.get("freezes", {}).values()
            if freeze.start_time <= now and (freeze.end_time is None or now < freeze.end_time)
        ]
        for since, text in reasons:
            if since is None:
                continue
            if now > since + LEASE + SKEW:
                self._broken(f"{start.assignment_id} started {now - since} after {text}")
            elif now > since + TOLD_WITHIN and computer.connected_since(since):
                self._broken(f"{start.assignment_id} started {now - since} after {text}, with a live stream")
        active, limit = self._truth.active(start.rollout_id), self._plan(start.rollout_id).max_concurrency
        if active > limit:
            self._broken(f"{active} computers install for {start.rollout_id} at once, and {limit} are the limit")

    def _plan(self, rollout_id: str) -> Plan:
        if rollout_id not in self._plans:
            self._plans[rollout_id] = read_plan(self._tables["rollouts"][rollout_id].plan_json)
        return self._plans[rollout_id]


def _changed(before: Tables, after: Tables, name: str) -> list[tuple[Any, Any]]:
    old, new = before.get(name, {}), after.get(name, {})
    if old is new:
        return []
    return [(old.get(key), value) for key, value in new.items() if old.get(key) is not value]


def _of_rollout(tables: Tables, rollout_id: str) -> list[Assignment]:
    return [one for one in tables.get("assignments", {}).values() if one.rollout_id == rollout_id]


def _of_computer(tables: Tables, computer_id: str) -> Iterable[Assignment]:
    return (one for one in tables.get("assignments", {}).values() if one.computer_id == computer_id)


def _accepted(one: Assignment, counted_from: datetime | None) -> bool:
    return bool(counted_from and one.ended_time and one.ended_time <= counted_from)


def _may_start(one: Assignment, now: datetime) -> bool:
    """Tell whether its computer may begin to install, or has begun: what `max_concurrency` limits."""
    if one.ended or one.state is AssignmentState.PENDING:
        return False
    if one.state not in BEFORE_INSTALLING:
        return True
    return one.start_until_time is not None and one.start_until_time > now


def _frozen(tables: Tables, now: datetime) -> bool:
    return any(
        freeze.start_time <= now and (freeze.end_time is None or now < freeze.end_time)
        for freeze in tables.get("freezes", {}).values()
    )


def _assignment_of(entry: LogRow) -> str:
    return str(json.loads(entry.details).get("assignment", ""))
