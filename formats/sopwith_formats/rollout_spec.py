"""The rollout file as the controller keeps it: canonical JSON with typed, normalised values.

Decides which keys a rollout has and what their values look like after reading; the YAML that a person writes is read by
`rollout_document`, defaults and bounds come from the SOP's policy. An absent value means: as the SOP says.
"""

from dataclasses import dataclass

from sopwith_formats import typed_json
from sopwith_formats.sop_policy import Amount, DisruptionBudget, WaveRule, Window

FORMAT = 1


@dataclass(frozen=True)
class ErrorThresholdSpec:
    """The error thresholds that a rollout names; None: as the SOP says."""

    percent: str | None = None
    """Share of a wave, such as "2%"."""
    count: int | None = None
    lost: int | None = None


@dataclass(frozen=True)
class RolloutSpec:
    """One rollout as a person asked for it. Durations are whole seconds, percentages text such as "95%"."""

    rollout: str
    """Its name for people."""
    release: str
    """name@version."""
    sop: str
    """Id of the SOP."""
    audience: str = ""
    """Selector over labels and facts; empty: every ACCEPTED computer in scope."""
    dynamic: bool = False
    """Computers that match the audience after the start join in."""
    waves: tuple[WaveRule, ...] = ()
    """Taken literally; empty: the SOP's waves."""
    success_threshold: str | None = None
    error_threshold: ErrorThresholdSpec | None = None
    max_concurrency: Amount | None = None
    bandwidth_max: int | None = None
    """Bytes a second of all downloads together."""
    staging_seconds: int | None = None
    """How long before a window opens its computers may fetch the files."""
    disruption_budget: DisruptionBudget | None = None
    window: Window | None = None
    start_time: str | None = None
    """As `start_time` reads it: a moment, or a time on a zone's or each computer's own clock."""
    repeat: str | None = None
    """RRULE that drafts the next one."""
    deadline_seconds: int | None = None
    attempts_max: int | None = None
    ready_quorum: int | None = None
    emergency: bool = False
    reboot_only: bool = False
    """Brings no release: `release` is the reserved one of `reboot_only`, and computers that wait for a reboot do it."""
    ticket: str = ""
    baseline: bool = True
    """Completed, its release becomes the baseline of its audience."""

    def to_json(self) -> bytes:
        """Return the canonical bytes."""
        return typed_json.write_document(self, version=FORMAT)


def read_rollout_spec(data: bytes | str) -> RolloutSpec:
    """Return the rollout of its canonical JSON; raise FormatError when a key or a type breaks the format."""
    raw = data.encode() if isinstance(data, str) else data
    return typed_json.read_document(RolloutSpec, raw, version=FORMAT, size_max=256 * 2**10)
