"""What one planner tick reads and what it answers: the view of a rollout, the actions, the explanations.

Only shapes stand here; `planner.plan_tick` decides. The caller builds the view from one transaction, carries the
actions out in their order in the same transaction, and sends messages to computers after the commit. A tick is pure:
the same view and time give the same decision, and carrying a decision out twice does nothing more than once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sopwith_controller.domain.agent_gates import AGENT_GATES
from sopwith_controller.domain.deviation import DEVIABLE, Deviation
from sopwith_controller.domain.durations import Estimates
from sopwith_controller.domain.entities import Readiness
from sopwith_controller.domain.gate_decisions import GateDecision
from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.rollout_entities import Assignment, Rollout
from sopwith_controller.domain.time_limits import INSTALL_TIMEOUT
from sopwith_formats.sop_policy import Reboot
from sopwith_formats.vocabulary import GateResult, Outcome


@dataclass(frozen=True, slots=True)
class ComputerView:
    """What the planner needs to know of one computer."""

    id: str
    name: str
    connected: bool = False
    asleep: bool = False
    """It announced sleep and was not heard of since."""
    offline_time: datetime | None = None
    """When its third heartbeat was missed, or will be unless it is heard of; None while connected or asleep. See
    `presence.offline_time`."""
    last_seen_time: datetime | None = None
    """Last contact of any process; None: never."""
    readiness: Readiness = field(default_factory=Readiness)
    """The newest measurement; `readiness.is_fresh` judges its age."""
    measure_asked_time: datetime | None = None
    """When the controller last asked it to measure, while no answer came since; None otherwise."""
    in_service: bool = True
    """ACCEPTED: neither quarantined nor retired nor rejected."""
    out_of_service_reason: str = ""
    rolled_back_before: bool = False
    """It rolled this release back and nobody permitted another try."""
    benched: str = ""
    """Why it sits on the bench (`bench`), in words that follow its name; empty: it does not."""
    busy_with: str = ""
    """Name of another rollout that occupies it (`assignment.occupies`); empty: none."""
    labels: Mapping[str, str] = field(default_factory=dict)
    platform: str = ""
    """See `durations.platform_of`."""
    group: str = ""
    """Maintenance group of one that joined after the start; the plan says it of members."""
    time_zone: str = ""
    """Its own IANA zone, from its facts; empty: UTC."""


@dataclass(frozen=True)
class RolloutView:
    """Everything that a tick looks at."""

    rollout: Rollout
    plan: Plan
    assignments: Sequence[Assignment]
    """In plan order."""
    computers: Mapping[str, ComputerView]
    """By computer id; one for every unended assignment (ended ones need none)."""
    freezes: Sequence[Freeze] = ()
    """Those in force at the tick's time."""
    release_withdrawn: bool = False
    estimates: Estimates = field(default_factory=Estimates)
    """How long the release's updates take."""
    freeze_begins: datetime | None = None
    """When the next freeze begins that is known ahead: no lease reaches into it."""
    reboot: Reboot = field(default_factory=Reboot)
    """When its computers may reboot, and how long that may take; of the SOP revision that the rollout cited."""
    install_timeout: timedelta = INSTALL_TIMEOUT
    """After so long a computer ends an attempt to install; of the SOP revision that the rollout cited."""
    deviations: Mapping[str, Deviation] = field(default_factory=dict)
    """Gate to the deviation in force that opens it for this rollout."""
    approved: bool = True
    """The approvals that its change class asks for stand under its plan."""

    @property
    def overridden(self) -> tuple[GateDecision, ...]:
        """Return the gates that would hold or delay offers now, but for a deviation."""
        closing = {"freeze": bool(self.freezes), "window": bool(self.plan.window or self.plan.groups)}
        closing |= dict.fromkeys(AGENT_GATES, True)
        return tuple(
            GateDecision(gate, DEVIABLE[gate], GateResult.DEVIATED, deviation=self.deviations[gate].id)
            for gate, closes in closing.items()
            if closes and gate in self.deviations
        )


# Actions. Those with an `assignment` name it by id.


@dataclass(frozen=True)
class OfferAssignment:
    """Sign and send a warrant whose first lease ends at `start_until`; PENDING becomes PREPARING.

    Without a lease it is an offer to stage: prepare and download ahead of the window, and wait for leave to install.
    """

    assignment: str
    computer: str
    wave: int
    start_until: datetime | None


@dataclass(frozen=True)
class RenewLease:
    """Let it start until then; it is connected."""

    assignment: str
    computer: str
    start_until: datetime


@dataclass(frozen=True)
class HoldLease:
    """Take the lease back from a connected computer: not now, stay prepared. `start_until_time` becomes None."""

    assignment: str
    computer: str
    reason: str


@dataclass(frozen=True)
class LeaseReboot:
    """Let its computer, which is connected, reboot until then; `reboot_until_time` becomes that."""

    assignment: str
    computer: str
    reboot_until: datetime


@dataclass(frozen=True)
class HoldReboot:
    """Take the leave to reboot back, or note that it was never used. `reboot_until_time` becomes None."""

    assignment: str
    computer: str
    reason: str


@dataclass(frozen=True)
class MoveAssignment:
    """Put it into another wave: the tail, or the place of one that moved there. Nothing is sent."""

    assignment: str
    computer: str
    wave: int
    reason: str


@dataclass(frozen=True)
class EndAssignment:
    """Conclude without a receipt. `withdraw`: it was offered, tell the computer."""

    assignment: str
    computer: str
    outcome: Outcome
    symptom: str
    detail: str
    severity: int = 0
    """Severity of the incident that it raises by its symptom; 0: none."""
    withdraw: bool = False


@dataclass(frozen=True)
class MarkLost:
    """Its computer fell silent while it was being changed; raise or widen the incident LOST_CONTACT."""

    assignment: str
    computer: str
    since: datetime


@dataclass(frozen=True)
class UnmarkLost:
    """Its computer is back."""

    assignment: str
    computer: str


@dataclass(frozen=True)
class MarkStalled:
    """Its computer is in contact and told nothing since, longer than its state allows; raise the incident TIMEOUT."""

    assignment: str
    computer: str
    since: datetime


@dataclass(frozen=True)
class MeasureReadiness:
    """Ask these connected computers for fresh readiness; each answer is worth a tick."""

    computers: tuple[str, ...]
    """Ids."""


@dataclass(frozen=True)
class OpenWave:
    """Write down that a wave opened (`rollout.open_wave`); the tail is the index after the last wave."""

    wave: int
    name: str
    gates: tuple[GateDecision, ...] = field(default=(), compare=False)
    """What the gates said that let it, as the update log keeps it."""


@dataclass(frozen=True)
class MarkWaveEnded:
    """Write down that the wave's last member ended (`rollout.end_wave`)."""

    wave: int
    name: str


@dataclass(frozen=True)
class PassWave:
    """Write down that the wave held and soaked (`rollout.pass_wave`)."""

    wave: int
    name: str
    gates: tuple[GateDecision, ...] = field(default=(), compare=False)
    """What the gates said that let it, as the update log keeps it."""


@dataclass(frozen=True)
class Suspend:
    """Suspend the rollout and raise the incident; leases are held by the actions that follow."""

    reason: str
    gate: str
    """error_threshold or wave_success."""
    severity: int
    """1 where computers are not safe, 2 where every touched one rolled back."""
    computers: tuple[str, ...]
    """Names of the computers that count."""
    inputs: Mapping[str, str]
    """What the gate looked at, for the record: text only."""
    symptom: str = "ROLLOUT_SUSPENDED"


@dataclass(frozen=True)
class Complete:
    """Every assignment has ended."""

    reason: str


@dataclass(frozen=True)
class FinishAbort:
    """Nothing of the aborted rollout runs any more."""


Action = (
    OfferAssignment
    | RenewLease
    | HoldLease
    | LeaseReboot
    | HoldReboot
    | MoveAssignment
    | EndAssignment
    | MarkLost
    | UnmarkLost
    | MarkStalled
    | MeasureReadiness
    | OpenWave
    | MarkWaveEnded
    | PassWave
    | Suspend
    | Complete
    | FinishAbort
)


@dataclass(frozen=True)
class Explanation:
    """What one assignment waits for, by the planner's own decision."""

    assignment: str
    computer: str
    """Name."""
    state: str
    wave: str
    waits_for: str
    """One of WAITS."""
    message: str
    remedy: str = ""
    until: datetime | None = None
    """When the wait ends by itself; None where nobody can know."""


WAITS = (
    "window",
    "freeze",
    "wave",
    "soak",
    "concurrency",
    "bandwidth",
    "budget",
    "readiness",
    "connection",
    "asleep",
    "approval",
    "deferral",
    "start",
    "paused",
    "suspended",
    "superseded",
    "stalled",
    "none",
)


@dataclass(frozen=True)
class TickDecision:
    """What should happen now."""

    actions: tuple[Action, ...] = ()
    next_time: datetime | None = None
    """When time alone may change the answer; None: only an event can."""
    state_reason: str | None = None
    """New reason of the rollout's state while it runs; None: leave it as it stands."""
    explanations: tuple[Explanation, ...] = ()
    """One per assignment that has not ended; filled by `planner.explain`, empty from `plan_tick`."""
