r"""The rollout file that people write: YAML in, `RolloutSpec` out, every fault named with its line.

Decides how a rollout is written (contract: "Rollout file"); its defaults and bounds come from the SOP, its meaning is
the planner's. Rules: strict keys; durations and percentages carry their units; `release`, `sop`, `ticket` and names are
read as written text, whatever YAML would make of them.

>>> read_rollout_document(b"rollout: r\nrelease: hello@2.10\nsop: SU-SOP-001\ndeadline: 14d\n").deadline_seconds
1209600
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from sopwith_formats.document_parts import (
    BudgetPart,
    Name,
    Rrule,
    Selector,
    StartTime,
    WavePart,
    WindowPart,
    wave_records,
)
from sopwith_formats.document_values import CountOrPercent, Duration, Percent, PercentNumber, PositiveCount, Rate
from sopwith_formats.documents import StrictModel, read_model
from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import split_release
from sopwith_formats.reboot_only import RELEASE, is_reboot_only
from sopwith_formats.rollout_spec import ErrorThresholdSpec, RolloutSpec

TEXT_KEYS = frozenset({"rollout", "release", "sop", "audience", "ticket", "waves[].name", "window.start"})
ATTEMPTS_MAX = 10
WAVES_MAX = 50


def _release(value: Any) -> str:
    split_release(value if isinstance(value, str) else "")
    return str(value)


def _unique(waves: list[WavePart]) -> list[WavePart]:
    wave_records(waves)
    return waves


class ErrorThresholdPart(StrictModel):
    """Error thresholds as they are written."""

    percent: PercentNumber | None = None
    count: PositiveCount | None = None
    lost: PositiveCount | None = None


class RolloutDocument(StrictModel):
    """The keys of a rollout file."""

    rollout: Name
    release: Annotated[str, BeforeValidator(_release)] = ""
    sop: Name
    audience: Selector = ""
    dynamic: bool = False
    waves: Annotated[list[WavePart], AfterValidator(_unique)] = Field(default_factory=list, max_length=WAVES_MAX)
    success_threshold: Percent | None = None
    error_threshold: ErrorThresholdPart | None = None
    max_concurrency: CountOrPercent | None = None
    bandwidth_max: Rate | None = None
    staging: Duration | None = None
    disruption_budget: BudgetPart | None = None
    window: WindowPart | None = None
    start_time: StartTime = None
    repeat: Rrule | None = None
    deadline: Duration | None = None
    attempts_max: int | None = Field(default=None, ge=1, le=ATTEMPTS_MAX)
    ready_quorum: PositiveCount | None = None
    emergency: bool = False
    reboot_only: bool = False
    ticket: str = Field(default="", max_length=200)
    baseline: bool = True

    @model_validator(mode="after")
    def _holds_together(self) -> "RolloutDocument":
        if not self.release and not self.reboot_only:
            raise FormatError("names no release", remedy="write release: NAME@VERSION, or reboot_only: true")
        if self.release and self.reboot_only:
            raise FormatError("names a release and only reboots", remedy="delete release, or reboot_only")
        if is_reboot_only(self.release):
            raise FormatError(f"names the release {self.release}, which nobody publishes", remedy="reboot_only: true")
        if self.emergency and self.waves:
            raise FormatError(
                "is an emergency and names waves", remedy="delete waves: an emergency has the SOP's emergency waves"
            )
        return self

    def record(self) -> RolloutSpec:
        """Return what the controller keeps."""
        errors = self.error_threshold
        return RolloutSpec(
            rollout=self.rollout,
            release=self.release or RELEASE,
            sop=self.sop,
            audience=self.audience,
            dynamic=self.dynamic,
            waves=wave_records(self.waves),
            success_threshold=self.success_threshold,
            error_threshold=ErrorThresholdSpec(errors.percent, errors.count, errors.lost) if errors else None,
            max_concurrency=self.max_concurrency,
            bandwidth_max=self.bandwidth_max,
            staging_seconds=self.staging,
            disruption_budget=self.disruption_budget.record() if self.disruption_budget else None,
            window=self.window.record() if self.window else None,
            start_time=self.start_time,
            repeat=self.repeat,
            deadline_seconds=self.deadline,
            attempts_max=self.attempts_max,
            ready_quorum=self.ready_quorum,
            emergency=self.emergency,
            reboot_only=self.reboot_only,
            ticket=self.ticket,
            baseline=self.baseline,
        )


def read_rollout_document(data: bytes, file: str = "rollout.yaml") -> RolloutSpec:
    """Return the rollout of a file's bytes; raise DocumentError with every fault, its line and its mend."""
    document, _ = read_model(data, file, RolloutDocument, text_keys=TEXT_KEYS)
    return document.record()
