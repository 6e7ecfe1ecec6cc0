"""The policy of a SOP: the parameters that Sopwith enforces, as frozen records and as canonical JSON.

Decides the shape of what is enforced and how it is digested; reading the SOP file that people write is left to
`sop_document`, applying the values to the controller's domain. The canonical JSON of this record is what
`policy_sha256` is made over: equal bytes mean an editorial revision, different bytes a material one.

Rules: durations are whole seconds (`..._seconds`), percentages text with their sign ("95%"), sizes bytes. A parameter
with bounds is a `Range`; a bare value in the SOP has both bounds at its default: that and nothing else.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sopwith_formats import canonical_json, typed_json
from sopwith_formats.errors import FormatError
from sopwith_formats.sop_notice import UserNotice
from sopwith_formats.units import parse_percent

FORMAT = 1
Amount = int | str
"""A count, or a percentage such as "10%"."""


def amount(value: Amount) -> Decimal:
    """Return the number of a count or of a percentage, to compare amounts of one kind."""
    return parse_percent(value) if isinstance(value, str) else Decimal(value)


def same_kind(one: Amount, other: Amount) -> bool:
    """Tell whether both are counts or both are percentages."""
    return isinstance(one, str) == isinstance(other, str)


@dataclass(frozen=True)
class Range:
    """A parameter: what holds when nothing is said, and how far a rollout may go; None: no bound on that side."""

    default: Amount
    min: Amount | None = None
    max: Amount | None = None

    def admits(self, value: Amount) -> bool:
        """Tell whether a value lies within the bounds; a bound of the other kind (count, percentage) says nothing."""
        low = self.min is None or not same_kind(self.min, value) or amount(value) >= amount(self.min)
        return low and (self.max is None or not same_kind(self.max, value) or amount(value) <= amount(self.max))


@dataclass(frozen=True)
class Window:
    """When installing is allowed: occurrences of an RRULE that begin at `start` on the clock of `time_zone`."""

    rrule: str
    start: str
    """Time of day, HH:MM."""
    duration_seconds: int
    time_zone: str = "local"
    """IANA name, or local: each computer's own."""
    cutoff_seconds: int = 0
    """No install starts later than this before the end."""


@dataclass(frozen=True)
class WaveRule:
    """One wave: how many computers, and how long it is watched before the next one opens."""

    name: str
    size: Amount
    soak_seconds: int = 0


@dataclass(frozen=True)
class Waves:
    """The waves of a rollout that names none, and what a rollout may choose."""

    default: tuple[WaveRule, ...]
    soak_min_seconds: int = 0
    first_size_max: Amount | None = None
    """Largest first wave that a rollout may ask for; None: any."""
    canary_prefer: str = ""
    """Selector: members of the first wave are taken from these computers where there are any."""
    canary_avoid: str = ""
    """Selector: members of the first wave are not taken from these computers while others are left."""


@dataclass(frozen=True)
class ErrorThreshold:
    """When a rollout is suspended: errors above a share of the wave, or reaching a count; lost ones reaching theirs."""

    percent: Range
    count: Range
    lost: Range


@dataclass(frozen=True)
class Safety:
    """What keeps a bad update small."""

    success_threshold: Range
    error_threshold: ErrorThreshold
    backup: str = "installer"
    """installer: the kept previous version is enough; snapshot: the computer's snapshot command must succeed; none."""
    rollback: str = "automatic"
    """automatic or by_hand."""
    kept_versions: int = 2
    """Earlier versions that computers keep for the way back; age and size bound them too."""
    kept_age_seconds: int = 180 * 86400
    kept_size_bytes: int = 5 * 2**30


@dataclass(frozen=True)
class Concurrency:
    """How many computers may be changed at once: a share of the audience or a count, never below `at_least`."""

    default: Amount
    at_least: int = 1
    min: Amount | None = None
    max: Amount | None = None

    @property
    def range(self) -> Range:
        """Return the bounds of what a rollout may ask for."""
        return Range(self.default, self.min, self.max)


@dataclass(frozen=True)
class DisruptionBudget:
    """How many computers with equal values of these labels may be unavailable at once."""

    group_by: tuple[str, ...]
    max_unavailable: int


@dataclass(frozen=True)
class Limits:
    """How far a rollout may go."""

    max_concurrency: Concurrency
    ready_quorum: Range
    attempts_max: Range
    rollout_deadline_seconds: Range
    disruption_budget: DisruptionBudget | None = None
    staging_seconds: Range = field(default_factory=lambda: Range(86400, 0, 7 * 86400))
    """How long before a window opens its computers may fetch the files."""
    bandwidth_max: Range | None = None
    """Bytes a second of all downloads of a rollout together; None: any number."""
    offline_start: bool = False
    """Lengthens the start lease for computers that work off the network."""


@dataclass(frozen=True)
class Roles:
    """The three named people of clause III."""

    owner: str
    it_manager: str
    authority: str


@dataclass(frozen=True)
class Approval:
    """Whose signatures make a revision effective."""

    require: tuple[str, ...]
    separate_persons: bool = True
    separate_persons_risk: str = ""
    """Why one person may sign in several roles; needed where separate_persons is false."""
    editorial: tuple[str, ...] = ("it_manager",)
    """Whose signature an editorial revision needs in profile standard."""


@dataclass(frozen=True)
class Review:
    """When the SOP itself is looked at again."""

    every_seconds: int
    warn_before_seconds: int
    on: tuple[str, ...] = ()
    hard_expiry: bool = False


@dataclass(frozen=True)
class Training:
    """Who must have acknowledged the revision, and how long after it became effective."""

    required_for: tuple[str, ...]
    grace_seconds: int
    drill: str = "optional"


@dataclass(frozen=True)
class Contact:
    """How a person of the escalation ladder is reached."""

    role: str
    name: str
    email: str = ""
    telephone: str = ""


@dataclass(frozen=True)
class EscalationLevel:
    """One step of the ladder: after this time without acknowledgement these roles are told, on these channels."""

    after_seconds: int
    targets: tuple[str, ...]
    channels: tuple[str, ...] = ("smtp",)
    profiles: tuple[str, ...] = ()
    """Profiles in which the step exists; empty: all."""


@dataclass(frozen=True)
class EscalationRule:
    """How incidents of one severity climb."""

    severity: int
    levels: tuple[EscalationLevel, ...]
    dispatch_within_seconds: int
    acknowledge_within_seconds: int
    """0: no acknowledgement is asked for."""
    loops: int = 1
    """How often the first level is told again while nobody acknowledges."""
    group_every_seconds: int = 0
    """How long additions to an incident's list of computers are gathered before they are sent."""


@dataclass(frozen=True)
class Significant:
    """One predicate of what is reported at once: any of these symptoms or outcomes, at this severity."""

    severity: int
    text: str
    symptoms: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TroubleshootingRow:
    """One symptom's bounded answer."""

    symptom: str
    remedies: tuple[str, ...]
    then: str
    attempts: int
    time_limit_seconds: int
    may_touch: tuple[str, ...]
    severity: int
    guidance: str = ""


@dataclass(frozen=True)
class Step:
    """One step of the procedure."""

    id: str
    clause: str
    actor: str
    action: str
    precondition: str
    success_test: str
    risk: str
    mitigation: str
    time_limit_seconds: int


@dataclass(frozen=True)
class PpeRule:
    """What a person wears for a kind of work; an empty list: nothing."""

    when: str
    items: tuple[str, ...]


@dataclass(frozen=True)
class ChangeClass:
    """What a class of change asks for before (or after) it runs."""

    approval: str
    """sop: covered by the signed SOP; before: named approvers; after: reviewed afterwards."""
    approvers_count: int = 0
    approver_roles: tuple[str, ...] = ()
    not_requester: bool = True
    review_within_seconds: int = 0
    waves: tuple[WaveRule, ...] = ()
    """Waves of this class where they differ from the SOP's; empty: the SOP's."""


@dataclass(frozen=True)
class MaintenanceGroup:
    """Computers with other habits than the rest: their window, notice and deferrals."""

    name: str
    selector: str
    window: Window | None = None
    notice_seconds: int = 0
    deferrals_max: int = 0
    defer_at_most_seconds: int = 0
    grace_seconds: int = 300


@dataclass(frozen=True)
class Reboot:
    """When a computer may be restarted."""

    when: str = "in_window"
    """in_window, any_time or never."""
    deferrals_max: int = 2
    forced_at_deadline: bool = False
    notice_seconds: int = 600
    window: Window | None = None
    """When computers may reboot; None: while their installs may start."""
    defer_seconds: int = 3600
    """How long one deferral lasts."""
    deadline_seconds: int = 7 * 86400
    """How long a computer may wait for its reboot."""
    confirm_seconds: int = 1800
    """How long a boot may take until the new version is confirmed."""


@dataclass(frozen=True)
class Records:
    """How long records are kept, counted from the end of effect."""

    retention_seconds: int


@dataclass(frozen=True)
class Source:
    """A designated source: its name in this SOP, and the pinned root where the SOP itself names it."""

    id: str
    root_sha256: str = ""


@dataclass(frozen=True)
class SopPolicy:
    """Everything that one SOP revision enforces."""

    sop_id: str
    scope: str
    """Selector over labels and facts of the computers that the SOP covers; empty: every ACCEPTED computer."""
    roles: Roles
    approval: Approval
    review: Review
    training: Training
    waves: Waves
    safety: Safety
    limits: Limits
    records: Records
    contacts: tuple[Contact, ...]
    escalation: tuple[EscalationRule, ...]
    significant: tuple[Significant, ...]
    change_classes: dict[str, ChangeClass]
    """Keys standard, normal, emergency."""
    window: Window | None = None
    """When installing is allowed where a rollout says nothing; None: always."""
    window_fixed: bool = False
    """True: a rollout may not bring its own window."""
    maintenance_groups: tuple[MaintenanceGroup, ...] = ()
    reboot: Reboot = field(default_factory=Reboot)
    user_notice: UserNotice = field(default_factory=UserNotice)
    deadlines: dict[str, dict[str, int]] = field(default_factory=dict)
    """Seconds to be updated within, by severity of the release and importance of the computer."""
    gates: dict[str, str] = field(default_factory=dict)
    """Gates whose enforcement differs from block: id to warn."""
    readiness: dict[str, Any] = field(default_factory=dict)
    """Agent-side thresholds as `agent_policy` reads them."""
    sources: tuple[Source, ...] = ()
    ppe: tuple[PpeRule, ...] = ()
    steps: tuple[Step, ...] = ()
    troubleshooting: tuple[TroubleshootingRow, ...] = ()

    def to_json(self) -> bytes:
        """Return the canonical bytes that `policy_sha256` is made over."""
        return typed_json.write_document(self, version=FORMAT)

    def sha256(self) -> str:
        """Return the policy digest, 64 hexadecimal digits."""
        return canonical_json.sha256_hex(canonical_json.decode(self.to_json()))

    def enforce(self, gate: str) -> str:
        """Return block or warn for a gate."""
        return self.gates.get(gate, "block")

    def contact(self, role: str) -> Contact | None:
        """Return the contact of a role."""
        return next((contact for contact in self.contacts if contact.role == role), None)

    def row(self, symptom: str) -> TroubleshootingRow | None:
        """Return the bounded answer to a symptom."""
        return next((row for row in self.troubleshooting if row.symptom == symptom), None)


def read_sop_policy(data: bytes | str) -> SopPolicy:
    """Return the policy of its canonical JSON; raise FormatError when a key or a type breaks the format."""
    raw = data.encode() if isinstance(data, str) else data
    policy = typed_json.read_document(SopPolicy, raw, version=FORMAT)
    if not policy.waves.default:
        raise FormatError("is empty", where="waves.default", remedy="a SOP has at least one wave")
    return policy
