"""The front matter of a SOP, group by group, as it is written in YAML.

Decides which keys there are, their types and limits; completeness of the whole (placeholders, references, missing
symptoms) is `sop_lint`'s, the record that Sopwith enforces is made in `sop_document`.

Rules: words that Sopwith acts on come from `sop_words`; durations carry units; a parameter that a rollout may change is
written `{default, min, max}`.
"""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from sopwith_formats import sop_words as words
from sopwith_formats.document_parts import BudgetPart, Name, Selector, WavePart, WindowPart, wave_records
from sopwith_formats.document_values import (
    AlsoWritten,
    CountOrPercent,
    Duration,
    PositiveCount,
    Size,
    Text,
    Word,
    one_of,
)
from sopwith_formats.documents import StrictModel
from sopwith_formats.errors import FormatError
from sopwith_formats.sop_ranges import (
    ConcurrencyPart,
    CountRange,
    DurationRange,
    PercentNumberRange,
    PercentRange,
    RateRange,
)
from sopwith_formats.units import format_duration, parse_duration
from sopwith_formats.vocabulary import Outcome, Symptom

_ADDRESS = re.compile(r"[^\s@<>,;\"\x00-\x1f]{1,64}@[A-Za-z0-9.-]{1,190}")


def _address(value: Any) -> str:
    if value in {None, ""}:
        return ""
    if not isinstance(value, str) or not (_ADDRESS.fullmatch(value) or value.startswith("[")):
        raise FormatError(f"{value!r} is no mail address", remedy="write it like name@example.org")
    return value


def _window(value: Any) -> Any:
    return None if value == "always" else value


def _lasting(least: str, most: str) -> AfterValidator:
    """Return the check that a duration lies between two others, both allowed."""

    def check(seconds: int) -> int:
        if not parse_duration(least).total_seconds() <= seconds <= parse_duration(most).total_seconds():
            raise FormatError(f"is {format_duration(timedelta(seconds=seconds))}", remedy=f"write {least} to {most}")
        return seconds

    return AfterValidator(check)


def _unique_waves(waves: list[WavePart]) -> list[WavePart]:
    wave_records(waves)
    return waves


Role = Annotated[str, one_of(words.ROLES)]
Actor = Annotated[str, one_of(words.ACTORS)]
Address = Annotated[str, BeforeValidator(_address)]
OptionalWindow = Annotated[WindowPart | None, BeforeValidator(_window), AlsoWritten({"const": "always"})]
Waves = Annotated[list[WavePart], AfterValidator(_unique_waves)]


class ChangePart(StrictModel):
    """What this revision changes; whether it is material is decided by the policy digest and may only be raised."""

    kind: Literal["editorial", "material"]
    description: Text
    revised_by: Word
    date: str = Field(default="", max_length=40)


class RolesPart(StrictModel):
    """The three named people."""

    owner: Word
    it_manager: Word
    authority: Word


class ScopePart(StrictModel):
    """Whom and what the SOP covers."""

    personnel: Text
    targets: Selector = ""


class ObjectivePart(StrictModel):
    """One aim, tied to a measure."""

    id: Name
    text: Text
    kpi: Annotated[str, one_of(words.KPIS)]
    target: Annotated[str, Field(pattern=r"^(>=|<=|>|<|=) ?[0-9]+(\.[0-9]+)?( ?(%|s|m|h|d))?$")]


class ApprovalPart(StrictModel):
    """Whose signatures make a revision effective."""

    policy: Literal["all"] = "all"
    require: list[Role] = Field(min_length=1)
    separate_persons: bool = True
    separate_persons_risk: str = Field(default="", max_length=2000)
    editorial: list[Role] = Field(default_factory=lambda: ["it_manager"], min_length=1)


class ReviewPart(StrictModel):
    """When the SOP itself is looked at again."""

    every: Duration
    warn_before: Duration
    on: list[Annotated[str, one_of(words.REVIEW_TRIGGERS)]] = Field(default_factory=list)
    hard_expiry: bool = False


class TrainingPart(StrictModel):
    """Who must have acknowledged the revision."""

    required_for: list[Actor]
    grace: Duration
    drill: Literal["never", "optional", "required"] = "optional"


class SourcePart(StrictModel):
    """A designated source."""

    id: Name
    description: Text
    root_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")


class MaterialPart(StrictModel):
    """Something that must be at hand before a rollout starts."""

    id: Annotated[str, one_of(words.MATERIALS)]
    text: Text


class DistributionPart(StrictModel):
    """Who receives the SOP, and how."""

    to: Word
    how: Text


class RebootPart(StrictModel):
    """When a computer may be restarted."""

    when: Literal["in_window", "any_time", "never"] = "in_window"
    window: OptionalWindow = None
    deferrals_max: int = Field(default=2, ge=0, le=100)
    defer_for: Annotated[Duration, _lasting("1m", "7d")] = 3600
    deadline: Annotated[Duration, _lasting("1m", "365d")] = 7 * 86400
    forced_at_deadline: bool = False
    notice: Annotated[Duration, _lasting("0s", "1d")] = 600
    confirm_timeout: Annotated[Duration, _lasting("1m", "1d")] = 1800


class WindowsPart(StrictModel):
    """When installing is allowed."""

    default: OptionalWindow
    rollout_may_choose: bool = True


class DiskFreePart(StrictModel):
    """Free space that an update needs."""

    times_files: int = Field(ge=1, le=100)
    reserve: Size


class ReadinessPart(StrictModel):
    """Thresholds of the readiness checks; whether each blocks or warns is said under gates."""

    fresh_within: Duration
    disk_free: DiskFreePart
    memory_available: Size
    load_percent_of_processors: int = Field(ge=1, le=100_000)
    battery_percent: int = Field(ge=0, le=100)
    clock_skew: Duration
    package_lock_wait: Duration
    metered_unless: list[Literal["critical", "high", "moderate", "low", "none"]]


class ConnectivityPart(StrictModel):
    """Thresholds of the measured connectivity."""

    latency_milliseconds: int = Field(ge=1, le=600_000)
    throughput_per_second: Size


class ChangeClassPart(StrictModel):
    """What a class of change asks for."""

    approval: Literal["sop", "before", "after"]
    count: int = Field(default=0, ge=0, le=10)
    roles: list[Role] = Field(default_factory=list)
    not_requester: bool = True
    review_within: Duration = 0
    waves: Waves = Field(default_factory=list)


class ChangeClassesPart(StrictModel):
    """The three classes of change."""

    standard: ChangeClassPart
    normal: ChangeClassPart
    emergency: ChangeClassPart


class CanaryPart(StrictModel):
    """From which computers the first wave is taken."""

    prefer: Selector = ""
    avoid: Selector = ""


class WavesPart(StrictModel):
    """The waves of a rollout that names none, and what a rollout may choose."""

    default: Annotated[Waves, Field(min_length=1)]
    soak_min: Duration = 0
    first_size_max: CountOrPercent | None = None
    canary: CanaryPart = Field(default_factory=CanaryPart)


class LimitsPart(StrictModel):
    """How far a rollout may go."""

    max_concurrency: ConcurrencyPart
    ready_quorum: CountRange
    attempts_max: CountRange
    rollout_deadline: DurationRange
    install_timeout: Duration
    disruption_budget: BudgetPart | None = None
    staging: DurationRange = Field(
        default_factory=lambda: DurationRange.model_validate({"default": "24h", "min": "0s", "max": "7d"})
    )
    bandwidth_max: RateRange | None = None
    offline_start: bool = False


class ErrorThresholdPart(StrictModel):
    """When a rollout is suspended."""

    percent: PercentNumberRange
    count: CountRange
    lost: CountRange


class KeptPart(StrictModel):
    """How much of earlier versions computers keep for the way back."""

    versions: int = Field(default=2, ge=1, le=50)
    age: Annotated[Duration, _lasting("1d", "3650d")] = 180 * 86400
    size: Size = 5 * 2**30


class SafetyPart(StrictModel):
    """What keeps a bad update small."""

    backup: Literal["installer", "snapshot", "none"]
    success_threshold: PercentRange
    error_threshold: ErrorThresholdPart
    rollback: Literal["automatic", "by_hand"] = "automatic"
    kept: KeptPart = Field(default_factory=KeptPart)


class GatePart(StrictModel):
    """How strictly a gate is kept."""

    enforce: Literal["block", "warn"]


class ContactPart(StrictModel):
    """How a person is reached."""

    email: Address = ""
    telephone: str = Field(default="", max_length=60)


class ContactsPart(StrictModel):
    """How the three named people are reached."""

    it_manager: ContactPart
    owner: ContactPart = Field(default_factory=ContactPart)
    authority: ContactPart = Field(default_factory=ContactPart)


class PpePart(StrictModel):
    """Protective equipment for a kind of work."""

    when: Literal["remote", "hands_on"]
    items: list[Word]


class StepPart(StrictModel):
    """One step of the procedure."""

    id: Name
    clause: Annotated[str, one_of(words.CLAUSES)]
    actor: Actor
    action: Text
    precondition: Text
    success_test: Text
    risk: Text
    mitigation: Text
    time_limit: Duration


class TroubleshootingPart(StrictModel):
    """One symptom's bounded answer."""

    symptom: Annotated[str, one_of(tuple(Symptom))]
    remedies: list[Annotated[str, one_of(tuple(words.REMEDIES))]]
    then: Annotated[str, one_of(tuple(words.THENS))]
    attempts: int = Field(ge=0, le=20)
    time_limit: Duration
    may_touch: list[Word] = Field(default_factory=list)
    severity: Literal[1, 2, 3]
    guidance: Text


class RecordsPart(StrictModel):
    """How long records are kept."""

    retention: Duration


class LevelPart(StrictModel):
    """One step of the escalation ladder."""

    after: Duration
    targets: list[Role] = Field(min_length=1)
    channels: list[Annotated[str, one_of(words.CHANNELS)]] = Field(min_length=1)
    profiles: list[Annotated[str, one_of(words.PROFILES)]] = Field(default_factory=list)


class EscalationPart(StrictModel):
    """How incidents of one severity climb."""

    severity: Literal[1, 2, 3]
    dispatch_within: Duration
    acknowledge_within: Duration
    loops: PositiveCount = 1
    group_every: Duration = 0
    levels: list[LevelPart]


class SignificantPart(StrictModel):
    """One predicate of what is reported at once."""

    severity: Literal[1, 2, 3]
    text: Text
    symptoms: list[Annotated[str, one_of(tuple(Symptom))]] = Field(default_factory=list)
    outcomes: list[Annotated[str, one_of(tuple(Outcome))]] = Field(default_factory=list)


class ReferencePart(StrictModel):
    """A text that this SOP refers to."""

    title: Word
    edition: Word
    date: Word
    link: str = Field(default="", max_length=500)
