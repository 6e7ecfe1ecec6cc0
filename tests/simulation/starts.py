"""What must hold at every start of an install or a reboot, and at every acknowledgement, on the computers themselves.

Decides whether a promise was broken; the truth calls it the moment something happens, before the controller hears of
it.
"""

from datetime import UTC, datetime

from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_controller.services.agent_reports import ReceiptReported, Report
from tests.simulation.promises import Promise
from tests.simulation.truth import Start, Truth
from tests.simulation.watched import LEASE, SKEW, TOLD_WITHIN, Broken, Watched, may_start


class Starts:
    """Watches the computers of one run."""

    def __init__(self, watched: Watched, truth: Truth, broken: Broken) -> None:
        self._watched = watched
        self._truth = truth
        self._broken = broken
        self.starts = 0
        truth.on_start, truth.on_break, truth.on_forgotten = self.started, broken, self.forgotten
        truth.on_reboot = self.rebooted

    def started(self, start: Start) -> None:
        """Check that this computer may begin to install now."""
        self.starts += 1
        now, computer, watched = start.time, start.computer, self._watched
        until = watched.leases.get(start.assignment_id)
        if until is None or now > until + SKEW:
            text = f"{start.assignment_id} started on {computer.name} after its lease until {until}"
            self._broken(Promise.START, text)
        self._check_stops(start, now)
        self._check_reach(start)
        self._check_places(start, now)

    def rebooted(self, start: Start) -> None:
        """Check that this computer may reboot now."""
        now, until = start.time, self._watched.reboot_leases.get(start.assignment_id)
        if until is None or now > until + SKEW:
            text = f"{start.assignment_id} rebooted {start.computer.name} after its leave until {until}"
            self._broken(Promise.START, text)
        if self._watched.rollout(start.rollout_id).state not in {RolloutState.ABORTING, RolloutState.ABORTED}:
            self._check_stops(start, now)
        self._check_places(start, now)

    def _check_places(self, start: Start, now: datetime) -> None:
        """Check the limits that this start could go beyond: another group is full or not, whoever starts here."""
        watched = self._watched
        plan = watched.plan(start.rollout_id)
        changing = self._known(start, now)
        active, limit = len(changing), plan.max_concurrency
        if active > limit:
            text = f"{active} computers install for {start.rollout_id} at once, and {limit} are the limit"
            self._broken(Promise.CONCURRENCY, text)
        budget = plan.disruption_budget
        if budget is not None:
            table = watched.tables["computers"]
            group, *others = (
                tuple(table[one].labels.get(label, "") for label in budget.group_by)
                for one in (start.computer.id, *changing)
            )
            number = others.count(group)
            if number > budget.max_unavailable:
                text = f"{number} computers of {group} install at once, and the budget is {budget.max_unavailable}"
                self._broken(Promise.BUDGET, text)

    def _known(self, start: Start, now: datetime) -> list[str]:
        """Return the computers that are being changed, but for those that the planner could not have counted.

        They began unseen in a lease that has run out, or people booted them after this one was given its place.
        """
        table = self._watched.tables["assignments"]
        return [
            computer_id
            for computer_id, here in self._truth.installing.items()
            for assignment_id, rollout_id in here.items()
            if rollout_id == start.rollout_id
            and not self._watched.came_between(assignment_id, start.assignment_id)
            and (assignment_id == start.assignment_id or may_start(table[assignment_id], self._watched.believed_now()))
        ]

    def _check_stops(self, start: Start, now: datetime) -> None:
        watched, wall = self._watched, self._watched.believed_now()
        rollout = watched.rollout(start.rollout_id)
        reasons = []
        if watched.deviated("freeze", rollout, wall) is None:
            shut = watched.shut_again.get(rollout.id, datetime.min.replace(tzinfo=UTC))
            reasons = [(max(shut, watched.frozen[one.id]), f"freeze {one.id}") for one in watched.freezes(wall)]
        stopped = self._watched.stopped.get(start.rollout_id)
        if stopped is not None:
            reasons.append((stopped, "its rollout was stopped"))
        for since, text in reasons:
            if now > since + LEASE + SKEW:
                self._broken(Promise.STOP, f"{start.assignment_id} started {now - since} after {text}")
            elif now > since + TOLD_WITHIN and start.computer.connected_since(since):
                late = f"{start.assignment_id} started {now - since} after {text}, with a live stream"
                self._broken(Promise.STOP, late)

    def _check_reach(self, start: Start) -> None:
        watched = self._watched
        one, rollout = watched.tables["assignments"][start.assignment_id], watched.rollout(start.rollout_id)
        wave = watched.granted_in.get(one.id, one.wave)  # it may have moved to the tail with its lease, and come back
        if wave < len(rollout.waves) and rollout.waves[wave].opened_time is None:
            self._broken(Promise.BAD_RELEASE, f"{one.id} started although its wave {wave} is not open")
        in_flight = watched.crossed.get(start.rollout_id)
        if in_flight is not None and one.id not in in_flight and rollout.state is not RolloutState.COMPLETED:
            self._broken(Promise.BAD_RELEASE, f"{one.id} started, offered after a threshold was crossed")

    def forgotten(self, report: Report) -> None:
        """Check that what a computer forgets is kept by the controller."""
        table = self._watched.tables.get("agent_messages", {})
        row = table.get((report.computer_id, report.sequence))
        if row is None or row.sha256 != report.sha256:
            text = f"message {report.sequence} of {report.computer_id} was acknowledged and is not recorded"
            self._broken(Promise.RECEIPTS, text)
        if isinstance(report.content, ReceiptReported):
            self._truth.acknowledged.append((report.computer_id, report.content.payload))
