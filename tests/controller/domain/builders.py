"""Builders of the domain's records, and a small world that carries a planner's decisions out as the services do."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sopwith_controller.domain import assignment as mirror
from sopwith_controller.domain import rollout as lifecycle
from sopwith_controller.domain.deviation import Deviation
from sopwith_controller.domain.durations import Estimates
from sopwith_controller.domain.entities import Computer, ComputerState, Readiness, Reason, Release, ReleaseState
from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.plan import Plan, PlanMember, PlanThresholds, PlanWave
from sopwith_controller.domain.plan_inputs import PlanInputs
from sopwith_controller.domain.planner import explain, plan_tick
from sopwith_controller.domain.planning import member_waves
from sopwith_controller.domain.rollout_entities import Assignment, Rollout, RolloutState, WaveShare
from sopwith_controller.domain.tick import (
    Complete,
    ComputerView,
    EndAssignment,
    Explanation,
    FinishAbort,
    HoldLease,
    HoldReboot,
    LeaseReboot,
    MarkLost,
    MarkStalled,
    MarkWaveEnded,
    MeasureReadiness,
    MoveAssignment,
    OfferAssignment,
    OpenWave,
    PassWave,
    RenewLease,
    RolloutView,
    Suspend,
    TickDecision,
    UnmarkLost,
)
from sopwith_formats.manifest import Artifact, Manifest
from sopwith_formats.rollout_spec import RolloutSpec
from sopwith_formats.sop_policy import (
    Approval,
    ChangeClass,
    Concurrency,
    Contact,
    ErrorThreshold,
    Limits,
    Range,
    Reboot,
    Records,
    Review,
    Roles,
    Safety,
    SopPolicy,
    Training,
    WaveRule,
    Waves,
)
from sopwith_formats.vocabulary import AssignmentState, Outcome

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
READY = Readiness(verdict="READY", measured_time=NOW)


def not_ready(code: str = "DISK_FULL", *, at: datetime = NOW) -> Readiness:
    return Readiness("NOT_READY", (Reason(code, f"{code} stands in the way", "mend it"),), measured_time=at)


def a_policy(**changes: Any) -> SopPolicy:
    policy = SopPolicy(
        sop_id="SU-SOP-001",
        scope="",
        roles=Roles("owner", "manager", "authority"),
        approval=Approval(("owner", "it_manager", "authority")),
        review=Review(365 * 86400, 30 * 86400),
        training=Training(("operator",), 7 * 86400),
        waves=Waves(
            default=(
                WaveRule("canary", 1, 1800),
                WaveRule("early", "10%", 4 * 3600),
                WaveRule("rest", "100%"),
            ),
            canary_prefer="ring=canary",
            canary_avoid="importance=high",
        ),
        safety=Safety(
            success_threshold=Range("95%", None, "100%"),
            error_threshold=ErrorThreshold(Range("2%", "0%", "100%"), Range(3, 1, None), Range(2, 1, None)),
        ),
        limits=Limits(
            max_concurrency=Concurrency("10%", at_least=5),
            ready_quorum=Range(1, 0, None),
            attempts_max=Range(3, 1, 10),
            rollout_deadline_seconds=Range(14 * 86400, 60, 365 * 86400),
        ),
        records=Records(6 * 365 * 86400),
        contacts=(
            Contact("owner", "olga", "olga@example.org"),
            Contact("it_manager", "mia", "mia@example.org"),
            Contact("authority", "anton"),
        ),
        escalation=(),
        significant=(),
        change_classes={
            "standard": ChangeClass("sop"),
            "normal": ChangeClass("before", 1, ("owner", "it_manager")),
            "emergency": ChangeClass(
                "after", waves=(WaveRule("first", 1, 600), WaveRule("next", "10%", 900), WaveRule("all", "100%"))
            ),
        },
    )
    return replace(policy, **changes)


def a_spec(**changes: Any) -> RolloutSpec:
    return replace(RolloutSpec(rollout="hello-2", release="hello@2", sop="SU-SOP-001"), **changes)


def a_manifest(**changes: Any) -> Manifest:
    manifest = Manifest("hello", "2", (Artifact("hello.deb", "deb", 1000, "0" * 64),))
    return replace(manifest, **changes)


def a_release(**changes: Any) -> Release:
    return replace(Release("hello", "2", ReleaseState.PUBLISHED, "{}", "a" * 64, "rita", NOW), **changes)


def a_computer(name: str, **changes: Any) -> Computer:
    return replace(Computer(f"c-{name}", name, ComputerState.ACCEPTED, "sha256:0", NOW), **changes)


def plan_inputs(count: int = 10, **changes: Any) -> PlanInputs:
    inputs = PlanInputs(
        spec=a_spec(),
        policy=a_policy(),
        sop_revision=1,
        policy_sha256="b" * 64,
        release=a_release(),
        manifest=a_manifest(),
        profile="standard",
        computers=[a_computer(f"pc{number}") for number in range(1, count + 1)],
        now=NOW,
    )
    return replace(inputs, **changes)


def a_plan(*sizes: int, soak: int = 0, **changes: Any) -> Plan:
    """Return a plan with waves of these sizes, named w0, w1 ..., members pc0, pc1 ... in order."""
    plan = Plan(
        rollout="hello-2",
        release="hello@2",
        manifest_sha256="a" * 64,
        sop_id="SU-SOP-001",
        sop_revision=1,
        policy_sha256="b" * 64,
        change_class="standard",
        audience="",
        members=tuple(PlanMember(f"c{number}", f"pc{number}") for number in range(sum(sizes))),
        waves=tuple(PlanWave(f"w{index}", size, soak) for index, size in enumerate(sizes)),
        thresholds=PlanThresholds(success="95%", error_percent="2%", error_count=3, lost=2),
        max_concurrency=100,
        ready_quorum=1,
        attempts_max=3,
        deadline_seconds=86400,
    )
    return replace(plan, **changes)


def a_rollout(plan: Plan, **changes: Any) -> Rollout:
    rollout = Rollout(
        id="r-1",
        name=plan.rollout,
        state=RolloutState.DRAFT,
        release=plan.release,
        spec_json="{}",
        sop_id=plan.sop_id,
        sop_revision=plan.sop_revision,
        policy_sha256=plan.policy_sha256,
        plan_json=plan.to_json(),
        plan_sha256=plan.sha256(),
        change_class=plan.change_class,
        requester="otto",
        created_time=NOW,
    )
    return replace(rollout, **changes)


def an_assignment(position: int = 0, **changes: Any) -> Assignment:
    return replace(
        Assignment(f"a{position}", "r-1", f"c{position}", f"pc{position}", position, 0),
        **changes,
    )


def shares(assignments: Iterable[Assignment]) -> list[WaveShare]:
    return [WaveShare(one.wave, one.state, one.outcome, 1) for one in assignments]


@dataclass
class World:
    """One running rollout; decisions are carried out through the same functions that the services use."""

    plan: Plan
    now: datetime = NOW
    rollout: Rollout = field(init=False)
    assignments: dict[str, Assignment] = field(init=False)
    computers: dict[str, ComputerView] = field(init=False)
    freezes: tuple[Freeze, ...] = ()
    estimates: Estimates = field(default_factory=Estimates)
    freeze_begins: datetime | None = None
    withdrawn: bool = False
    reboot: Reboot = field(default_factory=Reboot)
    deviations: dict[str, Deviation] = field(default_factory=dict)
    decision: TickDecision = field(default_factory=TickDecision)
    log: list[object] = field(default_factory=list)
    answers_readiness: bool = True

    def __post_init__(self) -> None:
        draft = a_rollout(self.plan)
        approved = lifecycle.submit(
            draft, plan_json=draft.plan_json, plan_sha256=draft.plan_sha256, needs_approval=False
        )
        self.rollout = lifecycle.start(
            approved,
            operator="otto",
            reason="monthly",
            now=self.now,
            deadline_seconds=self.plan.deadline_seconds,
            waves=self.plan.tail,
        )
        waves = member_waves(self.plan)
        self.assignments = {
            f"a{p}": Assignment(f"a{p}", "r-1", member.id, member.name, p, waves[p])
            for p, member in enumerate(self.plan.members)
        }
        self.computers = {
            member.id: ComputerView(member.id, member.name, connected=True, last_seen_time=self.now, readiness=READY)
            for member in self.plan.members
        }

    def view(self) -> RolloutView:
        return RolloutView(
            self.rollout,
            self.plan,
            list(self.assignments.values()),
            self.computers,
            self.freezes,
            self.withdrawn,
            self.estimates,
            self.freeze_begins,
            reboot=self.reboot,
            deviations=self.deviations,
        )

    def set(self, number: int, **changes: Any) -> None:
        """Change what is known of computer pc<number>."""
        self.computers[f"c{number}"] = replace(self.computers[f"c{number}"], **changes)

    def offline(self, *numbers: int) -> None:
        for number in numbers:
            self.set(number, connected=False, offline_time=self.now)

    def back(self, *numbers: int) -> None:
        for number in numbers:
            fresh = replace(READY, measured_time=self.now)
            self.set(number, connected=True, asleep=False, offline_time=None, readiness=fresh, last_seen_time=self.now)

    def tick(self, after: timedelta = timedelta(0)) -> list[object]:
        """Let time pass, tick until nothing changes, and return the actions."""
        self.now += after
        done: list[object] = []
        for _ in range(50):
            self.decision = plan_tick(self.view(), self.now)
            for action in self.decision.actions:
                self.carry_out(action)
            if self.decision.state_reason is not None:
                self.rollout = lifecycle.with_state_reason(self.rollout, self.decision.state_reason)
            done += self.decision.actions
            if not self.decision.actions:
                break
        else:
            raise AssertionError(f"never settles: {self.decision.actions}")
        self.log += done
        return done

    def carry_out(self, action: object) -> None:
        match action:
            case MeasureReadiness(computers=ids):
                for computer in ids:
                    self._measure(int(computer[1:]))
            case OpenWave(wave=wave):
                self.rollout = lifecycle.open_wave(self.rollout, wave, now=self.now)
            case MarkWaveEnded(wave=wave):
                self.rollout = lifecycle.end_wave(self.rollout, wave, now=self.now)
            case PassWave(wave=wave):
                self.rollout = lifecycle.pass_wave(self.rollout, wave, now=self.now)
            case Suspend(reason=reason):
                self.rollout = lifecycle.suspend(self.rollout, reason=reason)
            case Complete(reason=reason):
                self.rollout = lifecycle.complete(self.rollout, now=self.now, reason=reason)
            case FinishAbort():
                self.rollout = lifecycle.finish_abort(self.rollout, now=self.now)
            case _:
                self._change(action)

    def _measure(self, number: int) -> None:
        if self.answers_readiness:
            readiness = self.computers[f"c{number}"].readiness
            measured = replace(readiness, verdict=readiness.verdict or "READY", measured_time=self.now)
            self.set(number, readiness=measured)
        else:
            self.set(number, measure_asked_time=self.now)

    def _change(self, action: Any) -> None:
        """Carry out what concerns one assignment; an action that is not known here changes nothing for ever."""
        assignment = self.assignments[action.assignment]
        match action:
            case OfferAssignment(start_until=until):
                self.put(mirror.offer(assignment, now=self.now, start_until=until))
            case RenewLease(start_until=until):
                self.put(mirror.renew(assignment, now=self.now, start_until=until))
            case HoldLease(reason=reason):
                self.put(replace(assignment, start_until_time=None, waiting=reason))
            case LeaseReboot() | HoldReboot():
                until = getattr(action, "reboot_until", None)
                self.put(replace(assignment, reboot_until_time=until))
            case MoveAssignment(wave=wave):
                self.put(replace(assignment, wave=wave))
            case EndAssignment(outcome=outcome, symptom=symptom, detail=detail):
                self.put(mirror.end(assignment, outcome, now=self.now, symptom=symptom, detail=detail).assignment)
            case MarkLost(since=since):
                self.put(replace(assignment, lost_time=since))
            case MarkStalled(since=since):
                self.put(replace(assignment, stalled_time=since))
            case UnmarkLost():
                self.put(replace(assignment, lost_time=None))

    def put(self, assignment: Assignment) -> None:
        self.assignments[assignment.id] = assignment

    def reports(self, number: int, state: AssignmentState, **report: Any) -> None:
        """Computer pc<number> reports a state."""
        self.put(mirror.apply_progress(self.assignments[f"a{number}"], state, now=self.now, **report))

    def ends(self, number: int, outcome: Outcome = Outcome.SUCCEEDED, **receipt: Any) -> None:
        """Computer pc<number> sends its receipt."""
        digest = f"{next(_RECEIPTS):064x}"
        ending = mirror.end(self.assignments[f"a{number}"], outcome, now=self.now, receipt_sha256=digest, **receipt)
        self.put(ending.assignment)

    def resume(self) -> None:
        self.rollout = lifecycle.resume(
            self.rollout, person="otto", reason="looked at it", now=self.now, incident_acknowledged=True
        )

    def is_in(self, state: RolloutState) -> bool:
        return self.rollout.state is state

    def wave_of(self, number: int) -> int:
        return self.assignments[f"a{number}"].wave

    def state_of(self, number: int) -> AssignmentState:
        return self.assignments[f"a{number}"].state

    def outcomes(self) -> list[str]:
        return [assignment.outcome for assignment in self.assignments.values()]

    def offered(self) -> list[int]:
        """Numbers of the computers that hold an offer now."""
        return [a.position for a in self.assignments.values() if not a.ended and a.state is not AssignmentState.PENDING]

    def why(self, number: int) -> Explanation:
        return next(e for e in explain(self.view(), self.now) if e.computer == f"pc{number}")


_RECEIPTS = itertools.count(1)
