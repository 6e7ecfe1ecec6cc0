"""What must hold after every commit, judged by what it changed.

Decides, from the tables and the truth, whether a promise was broken; `starts` does it for every start of an install,
`ending` when everything is over. The rules are written here anew from the contract.
"""

import json
from datetime import datetime, timedelta
from decimal import Decimal

from sopwith_controller.domain.assignment import occupies
from sopwith_controller.domain.openings import opening
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.rollout import TRANSITIONS, RolloutCommand
from sopwith_controller.domain.rollout_entities import Assignment, Rollout, RolloutState
from sopwith_formats.log_entry import LogRow
from sopwith_formats.units import parse_percent
from sopwith_formats.vocabulary import AssignmentState, Outcome
from tests.simulation.database import Changes, Tables
from tests.simulation.promises import Promise
from tests.simulation.truth import Truth
from tests.simulation.watched import LEASE, SUCCESSES, Broken, Watched, accepted, may_start

FRESH = timedelta(minutes=15)
_STEPS = {(before, after) for (before, _), after in TRANSITIONS.items()} | {
    (before, TRANSITIONS[back, RolloutCommand.SUBMIT])  # a catch-up that goes back is asked for again in that commit
    for (before, command), back in TRANSITIONS.items()
    if command is RolloutCommand.REPLAN
}


class Invariants:
    """Watches one run; `broken(promise, text)` is called for each promise that does not hold."""

    def __init__(self, watched: Watched, truth: Truth, broken: Broken) -> None:
        self._watched = watched
        self._truth = truth
        self._broken = broken
        self._log_size = 0
        self._ends: dict[tuple[str, int], int] = {}
        """Assignment and generation to its number of log entries with an outcome."""
        self.commits = 0

    def committed(self, tables: Tables, changes: Changes) -> None:
        """Judge one commit."""
        self.commits += 1
        watched, now = self._watched, self._watched.now()
        watched.follow(tables, changes)
        for _, entry in changes.get("update_log", ()):
            self._check_entry(entry)
        changed = changes.get("assignments", [])
        offering: dict[str, str] = {}
        for old, new in changed:
            if old is not None:
                if watched.doubted():
                    self._check_doubted(old, new)
                self._check_assignment(old, new, now)
                if old.state is AssignmentState.PENDING and new.offered_time is not None and not new.ended:
                    offering[new.rollout_id] = new.id
        for old, new in changes.get("rollouts", ()):
            if old is not None:
                self._check_rollout(old, new, now)
        for rollout_id in {new.rollout_id for _, new in changed}:
            self._check_numbers(rollout_id, changed, offering.get(rollout_id, ""), now)

    def _check_entry(self, entry: LogRow) -> None:
        if entry.index != self._log_size:
            self._broken(Promise.LOG, f"entry {entry.index} of the log follows entry {self._log_size - 1}")
        self._log_size += 1
        if entry.kind == "ASSIGNMENT_ENDED":
            details = json.loads(entry.details)
            key = (str(details.get("assignment", "")), int(details.get("generation", 1)))
            self._ends[key] = self._ends.get(key, 0) + 1
            if self._ends[key] > 1 or not entry.outcome:
                text = f"{key} has {self._ends[key]} ends in the log, outcome {entry.outcome!r}"
                self._broken(Promise.ONE_OUTCOME, text)

    def _check_assignment(self, old: Assignment, new: Assignment, now: datetime) -> None:
        if new.ended != bool(new.outcome):
            self._broken(Promise.ONE_OUTCOME, f"{new.id} is {new.state} with outcome {new.outcome!r}")
        if new.generation < old.generation:
            self._broken(Promise.ONE_OUTCOME, f"{new.id} went back to generation {new.generation}")
        if old.ended and new.generation == old.generation:
            self._check_correction(old, new)
        elif new.ended:
            if self._ends.get((new.id, new.generation), 0) != 1:
                self._broken(Promise.ONE_OUTCOME, f"{new.id} ended {new.outcome} without its log entry")
            if new.outcome == Outcome.SUCCEEDED:
                self._check_success(new)
        lease = new.start_until_time
        if lease is not None and lease != old.start_until_time and lease > now:  # else it was ended, not granted
            self._check_lease(old, new, lease, now)
        reboot = new.reboot_until_time
        if reboot is not None and reboot != old.reboot_until_time and reboot > now:
            self._check_reboot(new, reboot, now)

    def _check_correction(self, old: Assignment, new: Assignment) -> None:
        if not new.ended:
            self._broken(Promise.ONE_OUTCOME, f"{new.id} had ended {old.outcome} and is {new.state} again")
        elif new.outcome != old.outcome and (old.receipt_sha256 or not new.receipt_sha256):
            text = f"{new.id} changed from {old.outcome} to {new.outcome} without a first receipt"
            self._broken(Promise.ONE_OUTCOME, text)
        elif new.outcome == Outcome.SUCCEEDED and not old.receipt_sha256:
            self._check_success(new)

    def _check_success(self, new: Assignment) -> None:
        told = self._truth.outcomes.get((new.id, new.generation))
        if told != Outcome.SUCCEEDED or not new.receipt_sha256:
            self._broken(Promise.SUCCESS, f"{new.id} is SUCCEEDED, and the truth is {told}")
        elif (new.id, new.generation) not in self._truth.proven:
            self._broken(Promise.SUCCESS, f"{new.id} is SUCCEEDED, and nothing was read back or checked there")

    def _check_reboot(self, new: Assignment, lease: datetime, now: datetime) -> None:
        watched = self._watched
        rollout, plan = watched.before("rollouts", new.rollout_id), watched.plan(new.rollout_id)
        computer = watched.before("computers", new.computer_id)
        group, zone = plan.groups_of_members.get(computer.id, ""), computer.facts.get("time_zone", "")
        watched.granted(watched.reboot_leases, new.id, lease)
        facts = (
            (rollout.state in {RolloutState.RUNNING, RolloutState.ABORTING}, f"while its rollout was {rollout.state}"),
            (not self._frozen(rollout, now), "in a freeze"),
            (lease <= now + LEASE, "longer than a lease lasts"),
            (rollout.deadline_time is None or lease <= rollout.deadline_time, "beyond the deadline"),
            (self._is_open(rollout, plan, group, zone, now), "outside its window"),
        )
        for holds, text in facts:
            if not holds:
                self._broken(Promise.LEASE, f"{new.id} got leave to reboot until {lease} {text}")

    def _check_lease(self, old: Assignment, new: Assignment, lease: datetime, now: datetime) -> None:
        watched = self._watched
        rollout = watched.before("rollouts", new.rollout_id)
        computer = watched.before("computers", new.computer_id)
        watched.granted(watched.leases, new.id, lease)
        watched.granted_in[new.id] = new.wave
        self._check_gates(rollout, new, lease, now)
        facts = (
            (rollout.state is RolloutState.RUNNING, f"while its rollout was {rollout.state}"),
            (lease <= now + LEASE, "longer than a lease lasts"),
            (rollout.deadline_time is None or lease <= rollout.deadline_time, "beyond the deadline"),
            (watched.rollout(rollout.id).waves[new.wave].opened_time is not None, "before its wave opened"),
        )
        for holds, text in facts:
            if not holds:
                self._broken(Promise.LEASE, f"{new.id} got a lease until {lease} {text}")
        if not occupies(old, now):
            for other in watched.of_computer_before(new.computer_id):
                if other.rollout_id != new.rollout_id and occupies(other, now):
                    text = f"{new.id} got a lease while {other.id} of {other.rollout_id} is at work there"
                    self._broken(Promise.ALONE, text)
        if old.state is AssignmentState.PENDING:
            verdict, measured = computer.readiness.verdict, computer.readiness.measured_time
            if verdict != "READY" or measured is None or now - measured > FRESH:
                self._broken(Promise.READY, f"{new.id} was offered to a computer that is {verdict or 'not measured'}")

    def _frozen(self, rollout: Rollout, now: datetime) -> bool:
        """Tell whether a freeze held a rollout before this commit."""
        watched = self._watched
        return bool(watched.freezes(now, before=True)) and not watched.deviated("freeze", rollout, now, before=True)

    def _is_open(self, rollout: Rollout, plan: Plan, group: str, zone: str, now: datetime) -> bool:
        """Tell whether a computer's window was open, by itself or by a deviation."""
        if opening(plan, group, zone, now).open:
            return True
        waits_for_start = opening(plan, group, zone, now).start_time is not None
        return not waits_for_start and self._watched.deviated("window", rollout, now, before=True) is not None

    def _check_gates(self, rollout: Rollout, new: Assignment, lease: datetime, now: datetime) -> None:
        """Check freezes, window and approvals at the moment in which a lease is granted."""
        watched, plan = self._watched, self._watched.plan(new.rollout_id)
        computer = watched.before("computers", new.computer_id)
        group, zone = plan.groups_of_members.get(computer.id, ""), computer.facts.get("time_zone", "")
        asked_for = {one.gate for one in watched.tables.get("deviations", {}).values() if one.rollout_id == rollout.id}
        for gate, shut, text in (
            ("freeze", self._frozen(rollout, now), "in a freeze"),
            ("window", not self._is_open(rollout, plan, group, zone, now), "outside its window"),
        ):
            if shut:
                promise = Promise.DEVIATION if gate in asked_for else Promise.LEASE
                self._broken(promise, f"{new.id} got a lease until {lease} {text}, and no deviation in force opens it")
        begins = [one.start_time for one in watched.coming(now)]
        if begins and lease > min(begins) and watched.deviated("freeze", rollout, now, before=True) is None:
            self._broken(Promise.CALENDAR, f"{new.id} got a lease until {lease} into a freeze of {min(begins)}")
        if rollout.change_class == "normal" and (rollout.id, rollout.plan_sha256) not in self._truth.approved:
            self._broken(Promise.APPROVAL, f"{new.id} got a lease, and no second person approved {rollout.plan_sha256}")

    def _check_doubted(self, old: Assignment, new: Assignment) -> None:
        """Check that nothing starts and nothing ends by a time that must not be believed."""
        lease, before = new.start_until_time, old.start_until_time
        if lease is not None and (before is None or lease > before):
            self._broken(Promise.CLOCK, f"{new.id} got a lease until {lease} by a clock that is off")
        if new.ended and not old.ended and not new.receipt_sha256:
            self._broken(Promise.CLOCK, f"{new.id} ended {new.outcome} by a clock that is off")

    def _check_rollout(self, old: Rollout, new: Rollout, now: datetime) -> None:
        watched = self._watched
        if old.state is not new.state and (old.state, new.state) not in _STEPS:
            self._broken(Promise.STEPS, f"{new.id} went from {old.state} to {new.state}")
        if new.state is RolloutState.RUNNING:
            watched.stopped.pop(new.id, None)
        elif old.state is RolloutState.RUNNING:
            watched.stopped[new.id] = watched.real_now()
        if new.counted_from != old.counted_from:
            watched.crossed.pop(new.id, None)
        self._check_waves(old, new, now)
        if new.state is RolloutState.COMPLETED and any(not one.ended for one in watched.of_rollout(new.id)):
            self._broken(Promise.TERMINAL, f"{new.id} is completed with unended assignments")

    def _check_waves(self, old: Rollout, new: Rollout, now: datetime) -> None:
        for wave, (was, is_now) in enumerate(zip(old.waves, new.waves, strict=False)):
            if was.opened_time is None and is_now.opened_time is not None:
                if any(new.waves[index].passed_time is None for index in range(wave)):
                    self._broken(Promise.WAVES, f"{new.id} opened wave {wave} before all waves before it had passed")
                if self._watched.doubted():
                    self._broken(Promise.CLOCK, f"{new.id} opened wave {wave} by a clock that is off")
                if old.state is not RolloutState.RUNNING:
                    self._broken(Promise.WAVES, f"{new.id} opened wave {wave} while {old.state}")
            if was.passed_time is None and is_now.passed_time is not None:
                self._check_pass(new, wave, now)

    def _check_pass(self, rollout: Rollout, wave: int, now: datetime) -> None:
        plan, progress = self._watched.plan(rollout.id), rollout.waves[wave]
        everybody = list(self._watched.of_rollout(rollout.id))
        members = [one for one in everybody if one.wave == wave and one.outcome != Outcome.CANCELLED]
        if not members:
            return
        if any(not one.ended and one.state is not AssignmentState.AWAITING_REBOOT for one in members):
            self._broken(Promise.WAVES, f"{rollout.id} passed wave {wave} before its members had ended")
        if progress.ended_time is None:
            self._broken(Promise.WAVES, f"{rollout.id} passed wave {wave} that did not end")
            return
        soaked = progress.ended_time + timedelta(seconds=plan.waves[wave].soak_seconds)
        if soaked > now and any(not one.ended and wave < one.wave < plan.tail for one in everybody):
            self._broken(Promise.WAVES, f"{rollout.id} passed wave {wave} before its soak was over")
        counted = rollout.counted_from
        judged = [one for one in members if one.ended and not accepted(one, counted)]
        well = sum(one.outcome in SUCCESSES for one in judged)
        forgiven = counted is not None and progress.ended_time <= counted
        if judged and not forgiven and Decimal(well * 100) < parse_percent(plan.thresholds.success) * len(judged):
            self._broken(Promise.WAVES, f"{rollout.id} passed wave {wave} with {well} of {len(judged)}")

    def _check_numbers(
        self, rollout_id: str, changed: list[tuple[Assignment | None, Assignment]], offered: str, now: datetime
    ) -> None:
        """Check places and thresholds of a rollout whose assignments changed."""
        watched, mine = self._watched, [(old, new) for old, new in changed if new.rollout_id == rollout_id]
        rollout, plan = watched.rollout(rollout_id), watched.plan(rollout_id)
        granted = sum(_granted(old, new, now) for old, new in mine)
        if granted:
            holding, limit = sum(may_start(one, now) for one in watched.active(rollout_id)), plan.max_concurrency
            if holding > limit:
                text = f"{rollout_id} lets {holding} computers start or change at once, and {limit} are the limit"
                self._broken(Promise.CONCURRENCY, text)
        if offered:
            before = (watched.before("assignments", one.id) for one in watched.of_rollout(rollout_id))
            wrong = watched.wrong(watched.before("rollouts", rollout_id), plan, before)
            if wrong:
                self._broken(Promise.THRESHOLDS, f"{rollout_id} offers {offered} although {wrong}")
        ended = rollout_id not in watched.crossed and any(new.ended for _, new in mine)
        if ended and watched.wrong(rollout, plan, watched.of_rollout(rollout_id)):
            watched.crossed[rollout_id] = frozenset(one.id for one in watched.active(rollout_id))


def _granted(old: Assignment | None, new: Assignment, now: datetime) -> bool:
    """Tell whether this commit let a computer start; a report of one that started unseen takes no leave."""
    leave = new.start_until_time is not None and new.start_until_time != (old and old.start_until_time)
    leave |= new.reboot_until_time is not None and new.reboot_until_time != (old and old.reboot_until_time)
    return leave and may_start(new, now) and not (old and may_start(old, now))
