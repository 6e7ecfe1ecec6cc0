"""The part of a SOP that a computer applies itself: readiness, connectivity, backup, reboot, retention.

The controller takes it from the effective SOP and sends it in every warrant (`Warrant.policy`) and whenever the SOP
changes (`SopUpdate.agent_policy_json`), as canonical JSON with the keys of `AgentPolicy`. The agent compares what its
sensors measured with it (`domain.readiness`); how a person writes these numbers in a SOP is `sop_document`'s.

Rules: unknown keys and wrong types are refused, so that a misspelt threshold cannot silently become none; a missing key
has the value of the shipped SOP, SU-SOP-001. All sizes are bytes, all durations whole seconds unless the name says
milliseconds.

>>> read_agent_policy({"clock_skew_seconds": 60}).clock_skew_seconds
60
"""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from sopwith_formats import canonical_json
from sopwith_formats.errors import FormatError

FORMAT = 1

CHECKS = (
    "source_designated",
    "connected",
    "source_reachable",
    "latency",
    "throughput",
    "clock_skew",
    "disk_free",
    "memory",
    "load",
    "power",
    "pending_reboot",
    "package_lock",
    "blocking_process",
    "user_session",
    "do_not_disturb",
    "metered",
)
"""Names of the readiness checks, in the order in which they are shown."""

INTEGRITY_CHECKS = ("source_designated",)
"""Checks that always block; no SOP can make them warn."""

ENFORCEMENTS = ("block", "warn")
REBOOT_TIMES = ("in_window", "any_time", "never")

_WARN_BY_DEFAULT = ("latency", "throughput", "memory", "load", "power", "user_session")


def _default_enforcement() -> dict[str, str]:
    return {check: "warn" if check in _WARN_BY_DEFAULT else "block" for check in CHECKS}


@dataclass(frozen=True)
class AgentPolicy:
    """What the computer enforces; the defaults are SU-SOP-001's."""

    enforce: dict[str, str] = field(default_factory=_default_enforcement)
    """For every name of CHECKS: block or warn. A key left out keeps its default."""
    disk_free_factor: int = 2
    """Required free space: this many times the release's files, and the reserve."""
    disk_free_reserve_bytes: int = 2**30
    memory_available_bytes: int = 256 * 2**20
    load_percent: int = 200
    """Load of the last minute per processor, at most."""
    battery_percent: int = 30
    """At least this much charge where no mains power is connected."""
    clock_skew_seconds: int = 300
    """The computer's clock may differ from the controller's by at most this."""
    metered_unless: tuple[str, ...] = ("critical",)
    """Severities of releases that may use a metered link."""
    latency_milliseconds: int = 2000
    """Time to open a connection to the source, at most."""
    throughput_bytes_per_second: int = 64 * 2**10
    """Measured by the last download; slower than this is reported."""
    measured_within_seconds: int = 900
    """How old a measurement may be when an install starts."""
    offline_start: bool = False
    """A computer without a live stream may start within its lease; then `connected` does not block."""
    backup_required: bool = True
    """An install without a way back is refused."""
    package_lock_wait_seconds: int = 600
    """How long to wait for another package tool before the assignment is deferred."""
    install_timeout_seconds: int = 1800
    reboot_when: str = "in_window"
    """in_window and any_time: the agent may reboot the computer where its own settings let it; never: people do."""
    reboot_deferrals: int = 2
    """How often a reboot may be put off, by the computer's user or by a drain command that refuses."""
    reboot_defer_seconds: int = 3600
    """How long one deferral lasts."""
    reboot_deadline_seconds: int = 7 * 86400
    """How long a computer may wait for its reboot; then it is forced, or the update fails."""
    reboot_forced: bool = False
    """A reboot is forced once its deadline passed or its deferrals are spent."""
    reboot_notice_seconds: int = 600
    """How long people who use the computer are told before it reboots."""
    reboot_confirm_seconds: int = 1800
    """A release that was rebooted into is confirmed within this from boot, or goes back."""
    snapshot_required: bool = False
    """An install without a snapshot made before it is refused."""
    kept_versions: int = 2
    """How many earlier versions of each release are kept for the way back; the one that a rollback needs always is."""
    kept_age_seconds: int = 180 * 86400
    """Earlier versions that were brought longer ago are not kept."""
    kept_size_bytes: int = 5 * 2**30
    """How much the kept versions of one release may take together."""
    notice_seconds: int = 900
    """How long people who use the computer are told before an install; 0: they are not told."""
    notice_deferrals: int = 0
    """How often they may put it off."""
    notice_defer_seconds: int = 0
    """Until when at the latest, from the first notice; 0: as long as the rollout lasts."""
    notice_grace_seconds: int = 300
    """How long the last notice lasts, after which nobody may put it off."""

    def to_json(self) -> bytes:
        """Return the canonical bytes, as SopUpdate carries them."""
        return canonical_json.encode(self.to_document())

    def to_document(self) -> dict[str, Any]:
        """Return the JSON object, as Warrant.policy carries it."""
        return {"format": FORMAT, **asdict(self), "metered_unless": list(self.metered_unless)}


def read_agent_policy(document: Any) -> AgentPolicy:
    """Return the policy of a JSON object or its bytes; raise FormatError for anything that is not one."""
    if isinstance(document, bytes):
        document = canonical_json.decode(document, size_max=2**16)
    if not isinstance(document, dict) or document.get("format", FORMAT) != FORMAT:
        raise FormatError("is no agent policy of a known format")
    values = {key: value for key, value in document.items() if key != "format"}
    known = {item.name: item.type for item in fields(AgentPolicy)}
    unknown = sorted(values.keys() - known.keys())
    if unknown:
        raise FormatError(f"has the unknown keys {', '.join(unknown)}", remedy="update the agent, or mend the SOP")
    for key, value in values.items():
        if known[key] is int and (type(value) is not int or value < 0):
            raise FormatError("must be a whole number, 0 or more", where=key)
        if known[key] is bool and type(value) is not bool:
            raise FormatError("must be true or false", where=key)
    if values.get("reboot_when", "never") not in REBOOT_TIMES:
        raise FormatError(f"is none of {', '.join(REBOOT_TIMES)}", where="reboot_when")
    if "enforce" in values:
        values["enforce"] = _read_enforcement(values["enforce"])
    if "metered_unless" in values:
        values["metered_unless"] = _read_severities(values["metered_unless"])
    return AgentPolicy(**values)


def _read_enforcement(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise FormatError("must be an object of check names", where="enforce")
    for check, word in value.items():
        if check not in CHECKS:
            raise FormatError(f"{check!r} is no check", where="enforce", remedy=f"one of {', '.join(CHECKS)}")
        if word not in ENFORCEMENTS:
            raise FormatError(f"{word!r} is neither block nor warn", where=f"enforce.{check}")
        if check in INTEGRITY_CHECKS and word != "block":
            raise FormatError("guards integrity and always blocks", where=f"enforce.{check}")
    return {**_default_enforcement(), **value}


def _read_severities(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise FormatError("must be a list of severities", where="metered_unless")
    return tuple(value)
